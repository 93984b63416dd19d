import { readKey } from '../../attestation/keys/key-file.ts';
import { receiptKey } from '../../attestation/keys/receipt-key.ts';
import { requireLive } from '../../attestation/log/receipt-keys.ts';
import { buildErasure } from '../../attestation/receipt/build.ts';
import { LIMITS } from '../../domain/limits.ts';
import { countUnended, eraseExecution, eraseSpec, findErasable, type Erasable } from '../../store/erase.ts';
import { createNotifier } from '../../store/notify.ts';
import { withTransaction } from '../../store/pool.ts';
import type { EraseOptions } from '../commands/erase.ts';
import type { Context } from '../context.ts';
import { CliError } from '../failure.ts';
import { printable } from '../text/printable.ts';
import { withLog, type LogDesk } from './database.ts';
import { withdrawnAnswers } from './withdrawn.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const NTH_OF_JOB = /^([^#/]+)[#/]([1-9]\d{0,8})$/;

/**
 * `beacon erase`: each execution in a transaction of its own, so that it can be run again when it was interrupted. The
 * entry is signed by the receipt key, as receipts are.
 */
export async function erase(context: Context, what: string, options: EraseOptions): Promise<undefined> {
  const reason = options.reason.trim();
  if (reason === '' || Buffer.byteLength(reason) > LIMITS.nonceBytes)
    throw new CliError('usage', `--reason is a text of at most ${LIMITS.nonceBytes} bytes`);
  await withLog(
    context,
    async (desk) => {
      const { pool, log } = desk;
      const key = await signingKey(desk);
      const found = await chosen(desk, what, options);
      const erased = [];
      for (const execution of found.filter(({ isErased }) => !isErased)) {
        const { executionId, jobId, receiptCid } = execution;
        const erasedAt = new Date();
        const signed = await buildErasure(
          {
            execution_id: executionId,
            ...(jobId === null ? {} : { job_id: jobId }),
            receipt_cid: receiptCid,
            reason,
            erased_at: erasedAt.toISOString(),
          },
          key,
        );
        const input = { logId: log.logId, execution, erasedAt, signed, withSpec: options.job === true };
        const blobs = await withTransaction(pool, (tx) => eraseExecution(tx, input));
        if (blobs !== undefined) erased.push({ execution_id: executionId, receipt_cid: receiptCid, blobs });
      }
      // Also when nothing was left to be erased but the spec.
      if (options.job === true) await withTransaction(pool, (tx) => eraseSpec(tx, what));
      await using notifier = createNotifier(pool);
      notifier.notify('log');
      const jobs = [...new Set(found.flatMap(({ jobId }) => jobId ?? []))];
      const published = (await withdrawnAnswers(context, pool, jobs)).map((one) => ({
        job_id: one.jobId,
        target: one.target,
        cid: one.cid,
        removed_at: one.removedAt?.toISOString() ?? null,
        note: one.note,
      }));
      if (context.json) context.document({ erased, before: found.length - erased.length, published });
      else {
        for (const { execution_id: id, receipt_cid: cid, blobs } of erased)
          context.line(`erased ${id}, receipt ${cid}, ${blobs} of its files and outputs were nobody else's`);
        if (erased.length < found.length)
          context.line(`${found.length - erased.length} had been erased before`);
        if (options.job === true) context.line(`erased the spec of ${printable(what)}`);
        for (const { target, cid, note } of published)
          context.line(`${target}: ${cid}: ${printable(note ?? 'no answer yet, it will be asked')}`);
        context.note(
          'copies that were published or fetched may persist; backups of the database hold it still',
        );
      }
    },
    // The services may not delete: their rights end where the log's promises begin.
    { role: null },
  );
  return undefined;
}

async function signingKey({ pool, log, keys }: LogDesk) {
  const found = await readKey(keys.receipt);
  if (found === undefined) {
    throw new CliError('key_missing', `there is no receipt key at ${keys.receipt.file}`, {
      next: 'run it where a worker keeps its key (--state), or give BEACON_RECEIPT_KEY_PEM',
    });
  }
  const key = receiptKey(found);
  await requireLive(pool, log.logId, key.id);
  return key;
}

async function chosen({ pool }: LogDesk, what: string, { job = false }: EraseOptions): Promise<Erasable[]> {
  const [, jobId, nth] = NTH_OF_JOB.exec(what) ?? [];
  const named = job
    ? { jobId: what }
    : jobId !== undefined
      ? { jobId }
      : UUID.test(what.toLowerCase())
        ? { executionId: what.toLowerCase() }
        : /^[1-9]\d{0,9}$/.test(what)
          ? { number: Number(what) }
          : undefined;
  const all = named === undefined ? [] : await findErasable(pool, named);
  const found = jobId !== undefined && !job ? all.slice(Number(nth) - 1, Number(nth)) : all;
  const open = job ? await countUnended(pool, what) : undefined;
  if ((open ?? 0) > 0)
    throw new CliError('refused', `job ${printable(what)} has not ended`, {
      next: `beacon job cancel ${what}`,
    });
  // A job that ended without executions has its spec alone.
  if (found.length === 0 && open === undefined)
    throw new CliError('not_found', `no execution that has ended is called ${printable(what)}`, {
      next: job ? 'beacon job list' : 'with --job it is the id of a job',
    });
  if (found.some(({ isLogged }) => !isLogged))
    throw new CliError('refused', 'a receipt of it is not in the log yet', { next: 'try again in a moment' });
  return found;
}
