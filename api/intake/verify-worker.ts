import { parentPort } from 'node:worker_threads';
import type { JsonNode } from '../../domain/json/node.ts';
import { ApiError } from '../errors.ts';
import { readSpec, verifyBody, type SpecFacts, type VerifiedBody } from './read-spec.ts';

/**
 * The thread in which large specs are read and verified: their trees and up to nine canonical forms of 1 MiB would hold
 * the event loop up for seconds. It is asked twice for each spec, `read` and then, when the facts will do, `verify`;
 * the tree in between never leaves it.
 */
export type ThreadQuestion = { read: Uint8Array } | { verify: true };
export type ThreadAnswer =
  | { facts: SpecFacts }
  | { verified: VerifiedBody }
  | { refused: Pick<ApiError, 'code' | 'message' | 'details'> }
  | { broken: string };

let held: { raw: Uint8Array; node: JsonNode } | undefined;

parentPort?.on('message', (question: ThreadQuestion) => {
  void answer(question).then((said) => parentPort?.postMessage(said));
});

async function answer(question: ThreadQuestion): Promise<ThreadAnswer> {
  const before = held;
  held = undefined;
  try {
    if ('read' in question) {
      const { node, facts } = readSpec(question.read);
      held = { raw: question.read, node };
      return { facts };
    }
    if (before === undefined) return { broken: 'nothing was read that could be verified' };
    return { verified: await verifyBody(before.raw, before.node) };
  } catch (error) {
    if (!(error instanceof ApiError)) return { broken: String(error) };
    return { refused: { code: error.code, message: error.message, details: error.details } };
  }
}
