import { getExecution, type ExecutionRef, type ExecutionRow } from '../../../store/execution-reads.ts';
import type { Pool } from '../../../store/pool.ts';
import { ApiError } from '../../errors.ts';
import type { Principal } from '../../principal.ts';
import { viewerOf } from '../viewer.ts';

export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const NUMBER = /^[1-9]\d{0,9}$/;

export function parseExecutionRef(text: string): ExecutionRef {
  if (UUID.test(text)) return { id: text.toLowerCase() };
  if (NUMBER.test(text)) return { number: Number(text) };
  throw new ApiError('invalid_execution_id');
}

/** The execution that `text` names and `principal` may see. Outputs up to `outputBytes` come with it. */
export async function findExecution(
  pool: Pool,
  text: string,
  principal: Principal,
  outputBytes = 0,
): Promise<ExecutionRow> {
  const row = await getExecution(pool, parseExecutionRef(text), viewerOf(principal), outputBytes);
  if (row === undefined) throw new ApiError('execution_not_found');
  return row;
}
