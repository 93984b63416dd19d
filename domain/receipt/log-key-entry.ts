import type { Verifiers } from '../crypto.ts';
import { utf8 } from '../encoding.ts';
import { openCheckpoint } from '../log/checkpoint.ts';
import { treeHash } from '../log/hash.ts';
import { verifyInclusion } from '../log/proof.ts';
import { parseTlogProof } from '../log/tlog-proof.ts';
import { ed25519Spki, parseVkey, type NoteKey } from '../log/vkey.ts';
import type { LogLink } from './bundle.ts';
import { parseEnvelope, preAuthEncoding, STATEMENT_PAYLOAD_TYPE } from './dsse.ts';
import { logKeyId, parseKeyStatement, possessedStatement } from './key-statement.ts';
import { demand, within } from './verdict.ts';
import { demandLeaf, holdsSignature } from './verify-signed.ts';

/**
 * The key to which a log was rotated: from its start entry, which one of `pinned` signed, and its proof under a checkpoint
 * that the same key signed. A client with the old pin follows it once and pins the new key too; from then on it knows both.
 * Throws BrokenLink `key`.
 */
export function followLogKey(entry: LogLink, pinned: readonly NoteKey[], verifiers: Verifiers): NoteKey {
  const where = 'log key';
  return within('key', where, () => {
    const { next, by } = verifyLogKeyStart(entry, pinned, verifiers, where);
    const { index, proof, checkpoint } = parseTlogProof(entry.tlog_proof);
    const { size, root } = openCheckpoint(checkpoint, [by], verifiers);
    const hash = treeHash(verifiers.sha256);
    const claim = { index, size, leafHash: hash.leaf(utf8(entry.leaf)), proof };
    demand(verifyInclusion(claim, root, hash), 'key', where, 'the entry does not stand in the log');
    return next;
  });
}

/** Checks that the start of a log key is whole: signed by one of `known` and by the new key, of the same name. */
export function verifyLogKeyStart(
  entry: Pick<LogLink, 'dsse' | 'leaf'>,
  known: readonly NoteKey[],
  verifiers: Verifiers,
  where: string,
): { next: NoteKey; by: NoteKey } {
  return within('key', where, () => {
    const { sha256 } = verifiers;
    const envelope = parseEnvelope(utf8(entry.dsse));
    const said = parseKeyStatement(envelope.payload, sha256);
    demand(said.kind === 'log-key-start', 'key', where, 'the entry is no start of a log key');
    const by = known.find((key) => logKeyId(key, sha256) === envelope.keyId);
    demand(by !== undefined, 'key', where, 'the entry is not signed by a key that is known');
    const key = { type: 'ed25519', spki: ed25519Spki(by.publicKey) } as const;
    const signed = said.previous === envelope.keyId && holdsSignature(envelope, key, verifiers);
    demand(signed, 'key', where, 'the entry is not signed by the key before it');
    const next = parseVkey(said.vkey, sha256);
    demand(next.name === by.name, 'key', where, `the key is of ${next.name}, not of ${by.name}`);
    const message = preAuthEncoding(STATEMENT_PAYLOAD_TYPE, possessedStatement(said, sha256));
    const possessed =
      said.possession !== undefined && verifiers.verifyEd25519(next.publicKey, message, said.possession);
    demand(possessed, 'key', where, 'the key that starts has not signed');
    demandLeaf(entry, envelope, key, verifiers, 'key', where);
    return { next, by };
  });
}
