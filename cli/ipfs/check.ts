import { createHash } from 'node:crypto';
import { CarReader } from '@ipld/car';
import { CID } from 'multiformats/cid';
import { wholeCar } from '../../attestation/blocks/car.ts';
import { readBlock } from '../../attestation/blocks/read-block.ts';
import { createKubo } from '../../attestation/publish/kubo.ts';
import { publishSettings } from '../../config/publish.ts';
import { directoryDag } from '../../domain/blocks/unixfs.ts';
import { cidOfDigest } from '../../domain/receipt/cid.ts';
import { putBlocks } from '../../store/blocks.ts';
import type { Pool } from '../../store/pool.ts';
import type { Context } from '../context.ts';
import { CliError, EXIT, reasonOf } from '../failure.ts';
import { withDatabase } from '../log/database.ts';

type StepName = 'store' | 'read back' | 'hash' | 'export' | 'reach Kubo' | 'import' | 'tidy up';

interface StepResult {
  step: StepName;
  ok: boolean;
  note: string;
}

/** Always the same small directory, so that a second check stores nothing. */
const FILES = ['first.txt', 'folder/second.txt'].map((path) => ({
  path,
  bytes: Buffer.from(`beacon ipfs check: ${path}\n`),
}));

/** Walks the way of a job's files, one step after the other; the first that fails is named, and ends it. */
export function checkIpfs(context: Context): Promise<number> {
  return withDatabase(context, async (pool, settings) => {
    const { kubo } = publishSettings(settings);
    const steps: StepResult[] = [];
    const tell = (result: StepResult): void => {
      steps.push(result);
      if (!context.json)
        context.line(
          `${result.ok ? context.colours.green('ok  ') : context.colours.red('FAIL')} ${result.step}: ${result.note}`,
        );
    };
    const step = async <T>(name: StepName, work: () => Promise<{ value: T; note: string }>): Promise<T> => {
      try {
        const { value, note } = await work();
        tell({ step: name, ok: true, note });
        return value;
      } catch (error) {
        tell({ step: name, ok: false, note: reasonOf(error) });
        throw new CliError('failed', `the step "${name}" failed: ${reasonOf(error)}`, { cause: error });
      }
    };
    let failure: CliError | undefined;
    try {
      const { root, car } = await checkStore(pool, step);
      if (kubo === null)
        context.note('no Kubo is configured (IPFS_NODE_URL), so nothing was imported anywhere');
      else await checkKubo(kubo, { root, car, signal: context.io.signal }, step);
    } catch (error) {
      if (!(error instanceof CliError)) throw error;
      failure = error;
    }
    if (context.json) context.document({ ok: failure === undefined, kubo: kubo?.url ?? null, steps });
    if (failure === undefined) return EXIT.ok;
    if (!context.json) throw failure;
    return EXIT.failed;
  });
}

type Step = <T>(name: StepName, work: () => Promise<{ value: T; note: string }>) => Promise<T>;

async function checkStore(pool: Pool, step: Step): Promise<{ root: string; car: Uint8Array }> {
  const { root, cids } = await step('store', async () => {
    const files = FILES.map(({ path, bytes }) => {
      const digest = createHash('sha256').update(bytes).digest();
      return { path, bytes, digest, cid: cidOfDigest(digest), size: bytes.length };
    });
    const { cid, nodes } = await directoryDag(files);
    const blocks = [
      ...files,
      ...nodes.map((node) => ({ ...node, digest: CID.parse(node.cid).multihash.digest })),
    ];
    await putBlocks(pool, blocks);
    const value = { root: cid, cids: blocks.map((block) => block.cid) };
    return { value, note: `${blocks.length} blocks under ${cid}` };
  });
  const read = await step('read back', async () => {
    const value = await Promise.all(cids.map((cid) => readBlock(pool, CID.parse(cid))));
    const missing = cids.filter((_cid, at) => value[at] === undefined);
    if (missing.length > 0) throw new Error(`not there: ${missing.join(', ')}`);
    return { value: value.filter((block) => block !== undefined), note: `${value.length} blocks` };
  });
  await step('hash', async () => {
    for (const { cid, bytes } of read)
      if (!createHash('sha256').update(bytes).digest().equals(cid.multihash.digest))
        throw new Error(`${cid.toString()} has other bytes`);
    return { value: undefined, note: 'every block is what its CID names' };
  });
  const car = await step('export', async () => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of (await wholeCar(pool, CID.parse(root))) ?? []) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    const reader = await CarReader.fromBytes(bytes);
    const [first, ...others] = await reader.getRoots();
    let count = 0;
    for await (const _block of reader.blocks()) count++;
    if (first?.toString() !== root || others.length > 0 || count !== cids.length)
      throw new Error(`the CAR has the root ${String(first)} and ${count} blocks`);
    return { value: bytes, note: `a CAR of ${bytes.length} bytes` };
  });
  return { root, car };
}

async function checkKubo(
  options: { name: string; url: string; authorization: string | undefined },
  { root, car, signal }: { root: string; car: Uint8Array; signal: AbortSignal },
  step: Step,
): Promise<void> {
  const kubo = createKubo(options);
  await step('reach Kubo', async () => ({
    value: undefined,
    note: `${options.url} is Kubo ${await kubo.version(signal)}`,
  }));
  await step('import', async () => {
    await kubo.importCar(root, pieces(car), signal);
    return { value: undefined, note: `Kubo read and pinned the same root` };
  });
  await step('tidy up', async () => {
    await kubo.remove(root, signal);
    return { value: undefined, note: 'unpinned there; its garbage collection does the rest' };
  });
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
