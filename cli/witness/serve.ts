import { mkdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { loadCosigner } from '../../attestation/keys/cosigner-key.ts';
import { readKey } from '../../attestation/keys/key-file.ts';
import { KeyError } from '../../attestation/keys/error.ts';
import { nodeSha256 } from '../../attestation/keys/node-verifiers.ts';
import { folderMemory } from '../../attestation/witness/memory.ts';
import { startWitnessServer } from '../../attestation/witness/server.ts';
import { createWitness } from '../../attestation/witness/witness.ts';
import { formatCosignerVkey } from '../../domain/log/cosignature.ts';
import { parsePolicy } from '../../domain/log/policy.ts';
import { isKeyName, parseVkey, type NoteKey } from '../../domain/log/vkey.ts';
import { takeLock } from '../../embedded/folder-lock.ts';
import { createLogger } from '../../observability/log.ts';
import type { WitnessOptions } from '../commands/witness.ts';
import type { Context } from '../context.ts';
import { CliError, fileReasonOf, reasonOf } from '../failure.ts';

const FOLDER_MODE = 0o700;

/**
 * `beacon witness`: a witness of its own, with key and memory in `witness/` of the state folder. It needs no database and
 * nothing else of Beacon.
 */
export async function witness(context: Context, options: WitnessOptions): Promise<undefined> {
  if (!isKeyName(options.name)) throw new CliError('usage', '--name has white space or a plus');
  const keys = await watchedLogs(options);
  const folder = path.join(context.stateDir, 'witness');
  await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
  // Two of one key on one memory could cosign two histories.
  await using _lock = await takeLock(path.join(folder, 'lock'), 'beacon witness').catch((cause: unknown) => {
    throw new CliError('stack_failed', `a witness runs in ${folder} already: ${reasonOf(cause)}`, { cause });
  });
  const signer = await openKey(folder, options.name);
  const log = createLogger('witness', 'info');
  const { host, port } = listenOf(options.listen);
  const memory = folderMemory(path.join(folder, 'cosigned'));
  const served = createWitness({ memory, signer, keys });
  await using server = await startWitnessServer({ witness: served, listen: { host, port }, log }).catch(
    (cause: unknown) => {
      throw new CliError('stack_failed', `cannot listen on ${options.listen}: ${reasonOf(cause)}`, { cause });
    },
  );
  const vkey = formatCosignerVkey(signer);
  if (context.json) context.document({ vkey, url: server.url, logs: (await keys()).map(({ name }) => name) });
  else context.line(`${vkey} ${server.url}`);
  context.note('logs name it in their policy as `witness <name> <vkey> <url>`; Ctrl-C ends it');
  process.send?.({ ready: true, url: server.url });
  await aborted(context.io.signal);
  return undefined;
}

/** The key, made once together with the memory: without what it cosigned a witness must not go on under its key. */
async function openKey(folder: string, name: string) {
  const source = { file: path.join(folder, 'keys', 'witness.pem') };
  const heads = path.join(folder, 'cosigned');
  try {
    if ((await readKey(source)) === undefined) await mkdir(heads, { recursive: true, mode: FOLDER_MODE });
    else if (!(await isFolder(heads))) {
      throw new CliError('key_invalid', `${heads} is gone: nobody knows what this key cosigned`, {
        next: `put it back, or retire this witness: move ${folder} away and begin another one`,
      });
    }
    return await loadCosigner(source, name);
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
    throw new CliError('key_invalid', error.message, { cause: error });
  }
}

async function isFolder(place: string): Promise<boolean> {
  return stat(place).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** The keys of the logs that are watched. A policy file is read again when it changed, so a log's rotation needs no restart. */
async function watchedLogs({ log, policy }: WitnessOptions): Promise<() => Promise<NoteKey[]>> {
  if (log.length === 0 && policy === undefined)
    throw new CliError('usage', 'no log to watch: name some by --log or --policy');
  const named = log.map((vkey) => {
    try {
      return parseVkey(vkey, nodeSha256);
    } catch (cause) {
      throw new CliError('usage', `--log ${vkey}: ${reasonOf(cause)}`, { cause });
    }
  });
  let mark = '';
  let listed: NoteKey[] = [];
  const read = async (file: string): Promise<void> => {
    const found = await stat(file);
    const now = `${found.ino} ${found.mtimeMs} ${found.size}`;
    if (now === mark) return;
    listed = parsePolicy(await readFile(file, 'utf8'), nodeSha256).logs.map(({ key }) => key);
    mark = now;
  };
  if (policy !== undefined) {
    await read(policy).catch((cause: unknown) => {
      throw new CliError('input_invalid', `${policy}: ${fileReasonOf(cause)}`, { cause });
    });
  }
  return async () => {
    // A file that is being written counts when it is whole again.
    if (policy !== undefined) await read(policy).catch(() => undefined);
    return [...named, ...listed];
  };
}

function listenOf(text: string): { host: string; port: number } {
  const found = /^(?:\[([0-9a-f:]+)\]|([^:\s]+)):(\d{1,5})$/i.exec(text);
  const port = Number(found?.[3]);
  if (found === null || port > 65_535) throw new CliError('usage', `--listen ${text} is no host:port`);
  return { host: found[1] ?? found[2]!, port };
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
