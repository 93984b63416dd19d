import { readFile } from 'node:fs/promises';
import { EmbeddedError } from './failure.ts';

/** Who a child process runs as. */
export interface Account {
  name: string;
  uid: number;
  gid: number;
}

/** In order: an account made for us, PostgreSQL's own, then the ones that every system has. */
const CANDIDATES = ['beacon', 'postgres', '_postgres', 'nobody', 'daemon'];

export const isRoot = (): boolean => process.getuid?.() === 0;

/** PostgreSQL refuses to run as root: the account that it runs as instead, or null when we are an ordinary user. */
export async function serverAccount(wanted = process.env.BEACON_EMBEDDED_USER): Promise<Account | null> {
  if (!isRoot()) return null;
  const known = (await readFile('/etc/passwd', 'utf8')).split('\n').flatMap((line): Account[] => {
    const [name = '', , uid = '', gid = ''] = line.split(':');
    return Number(uid) > 0 ? [{ name, uid: Number(uid), gid: Number(gid) }] : [];
  });
  const names = wanted === undefined || wanted === '' ? CANDIDATES : [wanted];
  for (const name of names) {
    const account = known.find((entry) => entry.name === name);
    if (account) return account;
  }
  throw new EmbeddedError(
    'account_unavailable',
    `PostgreSQL does not run as root and none of the accounts ${names.join(', ')} exists; add one (useradd --system beacon), or set DATABASE_URL`,
  );
}

/** The options of `spawn` that make a child run as this account. */
export const spawnAs = (account: Account | null): { uid?: number; gid?: number } =>
  account === null ? {} : { uid: account.uid, gid: account.gid };
