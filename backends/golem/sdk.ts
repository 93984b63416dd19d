/**
 * The SDK, loaded at the first connection and not before: no process that does not serve this backend pays for it. It is
 * the CommonJS build, since the ESM build of 3.6.0 calls functions that its own import does not have.
 */
import { createRequire } from 'node:module';
import type * as Golem from '@golem-sdk/golem-js';

export type Sdk = typeof Golem;
export type { Golem };

const require = createRequire(import.meta.url);

export function loadSdk(): Sdk {
  return require('@golem-sdk/golem-js') as Sdk;
}

let guarded = false;

/**
 * The net under the cures of hardened-yagna.ts: an error that only the SDK could have handled must not end the worker
 * and with it everything else that runs there. Errors of anybody else end it, as without this.
 */
export function guardAgainst(log: { warn(fields: object, message: string): void }): void {
  if (guarded) return;
  guarded = true;
  const take = (error: unknown): void => {
    if (isOfSdk(error)) {
      log.warn({ err: error }, 'an error that the Golem SDK let go');
      return;
    }
    // Without a listener it ends the process, as it should.
    process.off('uncaughtException', take).off('unhandledRejection', take);
    setImmediate(() => {
      throw error;
    });
  };
  process.on('uncaughtException', take).on('unhandledRejection', take);
}

function isOfSdk(error: unknown): boolean {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  return /[\\/]@golem-sdk[\\/]|[\\/]ya-ts-client[\\/]/.test(stack);
}
