import { execFile } from 'node:child_process';
import { z } from 'zod';
import { decimalOf } from '../../domain/money/decimal.ts';

const CALL_MS = 20_000;
const OUTPUT_BYTES = 1024 * 1024;

const status = z.object({ amount: z.union([z.string(), z.number()]) });

/** GLM that the wallet holds, as yagna's command line says; null where it is not found or says nothing of it. */
export function readBalance(network: string, command = 'yagna'): Promise<string | null> {
  return new Promise((resolve) => {
    const args = ['payment', 'status', '--network', network, '--json'];
    execFile(command, args, { timeout: CALL_MS, maxBuffer: OUTPUT_BYTES }, (error, stdout) => {
      resolve(error === null ? balanceIn(stdout) : null);
    });
  });
}

function balanceIn(text: string): string | null {
  try {
    return decimalOf(status.parse(JSON.parse(text)).amount);
  } catch {
    return null;
  }
}
