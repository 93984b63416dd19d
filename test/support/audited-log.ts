import { nodeSha256 } from '../../attestation/keys/node-verifiers.ts';
import type { LogKey } from '../../attestation/keys/log-key.ts';
import { main } from '../../cli/command-line.ts';
import { fromHex } from '../../domain/encoding.ts';
import { signCheckpoint } from '../../domain/log/checkpoint.ts';
import { formatVkey, noteKey } from '../../domain/log/vkey.ts';
import { createPool, type Pool } from '../../store/pool.ts';
import { signedJob, testApi, testKey, type TestApi } from './api.ts';
import { attestedLog, type AttestedLog } from './attested.ts';
import { eventually } from './eventually.ts';
import { recordedIo } from './recorded-io.ts';
import { tamperingProxy, type TamperingProxy } from './tampering-proxy.ts';
import { temporaryFolder } from './temporary-folder.ts';

const FILLERS = 600;
const LATE_FILLERS = 40;
/** Four entries of a job and the first key. */
const OF_THE_JOB = 5;
const KEPT = ['log_entries', 'log_tiles', 'log_checkpoints', 'log_state', 'blocks'] as const;

/** SQL: a byte of a column, and with it the column, another one. */
export const flipped = (column: string) => `set_byte(${column}, 12, 255 - get_byte(${column}, 12))`;

const SWAPPED = '(a.idx, b.idx) in ((300, 310), (310, 300))';

/** What somebody with all rights could do to the tree of the log in its tables. */
export const DAMAGE = {
  leaf: `update log_entries set leaf = ${flipped('leaf')} where idx = 311`,
  tile: `update log_tiles set hashes = ${flipped('hashes')} where level = 0 and idx = 1`,
  swap: `update log_entries a set leaf = b.leaf, leaf_hash = b.leaf_hash from log_entries b where ${SWAPPED}`,
  truncation: `update log_entries set leaf = substr(leaf, 1, length(leaf) - 5) where idx = 17`,
} as const;

export interface ShownHead {
  size: number;
  root: Uint8Array;
  note: string;
}

/** What one `beacon audit` found, as `code where`. */
export interface Audited {
  code: number;
  findings: string[];
}

/** A real log with real receipts in it behind the real API, to be damaged and audited; what stands between is ours. */
export interface AuditedLog extends AsyncDisposable {
  api: TestApi;
  log: AttestedLog;
  /** The database's superuser. */
  owner: Pool;
  proxy: TamperingProxy;
  upstream: string;
  vkey: string;
  size: number;
  /** An execution with its receipt. */
  execution: { id: string; cid: string; index: number };
  /** The head before the last entries came. */
  older: ShownHead;
  head(): Promise<ShownHead>;
  /** A checkpoint of whatever it likes, signed by the log's own key unless another is given. */
  signed(size: number, root: Uint8Array, key?: LogKey): Promise<string>;
  /** Runs a statement as nobody but a superuser can: without triggers and references. */
  replica(sql: string): Promise<void>;
  /** Puts everything back as it was. */
  restore(): Promise<void>;
}

export async function auditedLog(): Promise<AuditedLog> {
  const api = await testApi();
  const log = await attestedLog(api.db);
  const owner = createPool({ databaseUrl: api.db.url, name: 'test tamper', role: null });
  const shown = (entries: number) =>
    eventually(async () =>
      (await api.get('/api/v1/transparency/root')).json.tree_size >= entries ? true : undefined,
    );
  const head = async (): Promise<ShownHead> => {
    const { json } = await api.get('/api/v1/transparency/checkpoints?limit=1');
    const [{ tree_size: size, root, checkpoint: note }] = json.checkpoints;
    return { size, root: fromHex(root as string)!, note };
  };
  /** Entries of a kind that has no document behind it, so that tiles fill up. */
  const fill = (count: number) =>
    owner.query(
      `insert into log_pending (log_id, subject_kind, subject_id, version, leaf, key_id)
       select $1, 'report', gen_random_uuid()::text, 1, convert_to('{"report":"' || n || gen_random_uuid() || '"}', 'UTF8'), (select key_id from key_entries where version = 1 limit 1)
       from generate_series(1, $2) n`,
      [log.head.logId, count],
    );

  log.startSequencing();
  const job = (await api.post(signedJob(testKey(), { questions: [] }))).json.id as string;
  await log.endJob(job);
  await shown(OF_THE_JOB);
  await fill(FILLERS);
  await shown(OF_THE_JOB + FILLERS);
  const older = await head();
  await fill(LATE_FILLERS);
  const size = OF_THE_JOB + FILLERS + LATE_FILLERS;
  await shown(size);
  const { json } = await api.get(`/api/v1/jobs/${job}/executions`);
  const [{ id, ipfs_cid: cid }] = json.executions;
  const { leaf_index: index } = (await api.get(`/api/v1/transparency/proof?execution_id=${id}`)).json;
  const upstream = await api.app.listen({ port: 0, host: '127.0.0.1' });
  const proxy = await tamperingProxy(() => upstream);
  for (const table of KEPT) await owner.query(`create table kept_${table} as table ${table}`);
  const replica = async (sql: string) => {
    await owner.query(`begin; set local session_replication_role = replica; ${sql}; commit`);
  };

  return {
    api,
    log,
    owner,
    proxy,
    upstream,
    vkey: formatVkey(noteKey(log.head.origin, log.logKey.publicKey, nodeSha256)),
    size,
    execution: { id, cid, index },
    older,
    head,
    signed: (of, root, key = log.logKey) =>
      signCheckpoint({ origin: log.head.origin, size: of, root }, [key.signerFor(log.head.origin)]),
    replica,
    async restore() {
      for (const table of KEPT) {
        await replica(`delete from ${table}; insert into ${table} table kept_${table}`);
      }
    },
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await owner.end();
      await log[Symbol.asyncDispose]();
      await api[Symbol.asyncDispose]();
    },
  };
}

export interface Auditor extends AsyncDisposable {
  folder: string;
  beacon(words: string[], env?: Record<string, string>): Promise<{ code: number; out: string; err: string }>;
  /** What `beacon audit` with these words finds. */
  found(words: string[], env?: Record<string, string>): Promise<Audited>;
  auditDb(): Promise<Audited>;
  /** Through the proxy. */
  auditUrl(): Promise<Audited>;
}

/** `beacon audit` with a state folder of its own, so that it remembers nothing, and a proxy that tells the truth. */
export async function freshAuditor({
  api,
  proxy,
  vkey,
}: Pick<AuditedLog, 'api' | 'proxy' | 'vkey'>): Promise<Auditor> {
  const folder = await temporaryFolder();
  proxy.tamper = () => undefined;
  proxy.asked = [];
  const auditor: Auditor = {
    folder: folder.path,
    async beacon(words, env = {}) {
      const io = recordedIo({ cwd: folder.path, env: { BEACON_STATE: 'state', ...env } });
      const code = await main(words, io);
      return { code, out: io.out(), err: io.err() };
    },
    async found(words, env = {}) {
      const { code, out, err } = await auditor.beacon(['audit', ...words, '--json'], env);
      if (out === '') throw new Error(err);
      const { ok, findings } = JSON.parse(out) as {
        ok: boolean;
        findings: { code: string; where: string }[];
      };
      if (ok !== (code === 0)) throw new Error(`ok is ${ok} with exit code ${code}`);
      return { code, findings: findings.map((one) => `${one.code} ${one.where}`) };
    },
    auditDb: () => auditor.found(['--db'], { DATABASE_URL: api.db.url }),
    auditUrl: () => auditor.found([proxy.url, '--vkey', vkey]),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
  return auditor;
}
