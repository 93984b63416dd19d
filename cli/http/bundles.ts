import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { isCid } from '../../domain/receipt/cid.ts';
import { CliError } from '../failure.ts';
import type { ApiClient } from './client.ts';

const BUNDLE_BYTES = 256 * 1024 * 1024;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const NUMBER = /^\d{1,10}$/;

const proofAnswer = z.looseObject({ execution_id: z.string().nullish(), job_id: z.string().nullish() });

/** The log follows a job's end within moments; this is for a machine that swaps. */
const NOT_READY_WAIT_MS = 10_000;
const NOT_READY_POLL_MS = 100;

/** The bundle file of a job, byte for byte. */
export function fetchJobBundle(client: ApiClient, jobId: string): Promise<Uint8Array> {
  return fetchReady(client, `/api/v1/jobs/${encodeURIComponent(jobId)}/bundle`);
}

/** The bundle file of one execution. */
export function fetchExecutionBundle(client: ApiClient, id: string): Promise<Uint8Array> {
  return fetchReady(client, `/api/v1/executions/${encodeURIComponent(id)}/bundle`);
}

/** Waits while what has ended is on its way into the log. */
async function fetchReady(client: ApiClient, path: string): Promise<Uint8Array> {
  const deadlineMs = performance.now() + NOT_READY_WAIT_MS;
  for (;;) {
    try {
      return (await client.request(path, { maxBytes: BUNDLE_BYTES })).bytes;
    } catch (thrown) {
      const waits = thrown instanceof CliError && thrown.serverCode === 'not_yet_logged';
      if (!waits || performance.now() > deadlineMs) throw thrown;
    }
    await delay(NOT_READY_POLL_MS);
  }
}

/** The bundle of what `name` names: a CID, an execution by id or number, else a job. */
export async function fetchBundle(client: ApiClient, name: string): Promise<Uint8Array> {
  if (isCid(name)) {
    const path = `/api/v1/transparency/proof?ipfs_cid=${encodeURIComponent(name)}`;
    const { execution_id, job_id } = await client.json(path, proofAnswer);
    if (execution_id != null) return fetchExecutionBundle(client, execution_id);
    if (job_id != null) return fetchJobBundle(client, job_id);
    throw new CliError('not_found', `the log knows ${name}, but not as a receipt or a job`);
  }
  if (UUID.test(name) || NUMBER.test(name)) {
    try {
      return await fetchExecutionBundle(client, name);
    } catch (thrown) {
      // A job may be called 17 as well.
      if (!(thrown instanceof CliError) || thrown.serverCode !== 'execution_not_found') throw thrown;
    }
  }
  return fetchJobBundle(client, name);
}
