import { randomBytes } from 'node:crypto';
import { link, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { EmbeddedError, systemCode } from './failure.ts';
import { LOCK_SETTLE_MS } from './limits.ts';
import { identify, isAlive, processIdentity } from './process-identity.ts';
import { readIfThere } from './private-file.ts';

/*
 * One file says who holds a folder. It appears by `link` of a complete file, so it is never half written and only one
 * of several takers wins. The holder is a process with its start time: a file whose process is gone is stale. A taker
 * moves a stale file away; when what it moved turns out to be somebody's fresh lock, it puts that back and has lost.
 */

const holderFile = processIdentity.extend({ token: z.string(), purpose: z.string(), since: z.string() });
export type LockHolder = z.infer<typeof holderFile>;

async function readHolder(file: string): Promise<LockHolder | null> {
  const text = await readIfThere(file);
  if (text === null) return null;
  try {
    return holderFile.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** The process that holds the lock now, or null. */
export async function lockHolder(file: string): Promise<LockHolder | null> {
  const holder = await readHolder(file);
  return holder !== null && isAlive(holder) ? holder : null;
}

/** Takes the lock, or throws `state_locked` naming its holder. A lock whose holder is gone is taken over. */
export async function takeLock(file: string, purpose: string): Promise<AsyncDisposable> {
  const self = identify(process.pid);
  if (self === null) throw new TypeError('this process has an identity');
  const mine: LockHolder = {
    ...self,
    token: randomBytes(8).toString('hex'),
    purpose,
    since: new Date().toISOString(),
  };
  const fresh = `${file}.${mine.token}`;
  await writeFile(fresh, JSON.stringify(mine), { mode: 0o600, flag: 'wx' });
  try {
    for (;;) {
      try {
        await link(fresh, file);
        await sleep(LOCK_SETTLE_MS);
        if ((await readHolder(file))?.token === mine.token) break;
        continue;
      } catch (error) {
        if (systemCode(error) !== 'EEXIST') throw error;
      }
      const holder = await readHolder(file);
      if (holder !== null && isAlive(holder)) throw lockedBy(file, holder);
      await setAside(file, holder?.token);
    }
  } finally {
    await rm(fresh, { force: true });
  }
  return {
    async [Symbol.asyncDispose]() {
      if ((await readHolder(file))?.token === mine.token) await rm(file, { force: true });
    },
  };
}

async function setAside(file: string, staleToken: string | undefined): Promise<void> {
  const aside = `${file}.stale-${randomBytes(8).toString('hex')}`;
  try {
    await rename(file, aside);
    if ((await readHolder(aside))?.token !== staleToken) await link(aside, file);
  } catch (error) {
    if (!['ENOENT', 'EEXIST'].includes(systemCode(error) ?? '')) throw error;
  } finally {
    await rm(aside, { force: true });
  }
}

function lockedBy(file: string, { purpose, pid, since }: LockHolder): EmbeddedError {
  return new EmbeddedError(
    'state_locked',
    `${path.dirname(file)} is in use: ${purpose}, process ${pid}, since ${since}; ${endOf(purpose, pid)}`,
  );
}

/** `beacon down` stops stacks; a witness and whatever else holds a folder it does not know. */
function endOf(purpose: string, pid: number): string {
  if (purpose === 'beacon down') return 'which ends by itself';
  return `stop it with "${purpose === 'beacon up' ? 'beacon down' : `kill ${pid}`}"`;
}
