import { fromBase64, fromUtf8, toBase64, utf8 } from '../../domain/encoding.ts';
import type { LogLink } from '../../domain/receipt/bundle.ts';
import type { Link } from '../../domain/receipt/verdict.ts';

/** Changes one character somewhere in the middle of base64 text, so that it stays base64. */
function turn(base64: string): string {
  const at = Math.floor(base64.length / 2);
  return `${base64.slice(0, at)}${base64[at] === 'A' ? 'B' : 'A'}${base64.slice(at + 1)}`;
}

/** Replaces what stands between two marks. */
function edit(text: string, pattern: RegExp, change: (found: string) => string): string {
  const changed = text.replace(pattern, (whole, found: string) => whole.replace(found, change(found)));
  if (changed === text) throw new Error(`nothing to change for ${String(pattern)}`);
  return changed;
}

const flipProofHash = (proof: string) => edit(proof, /\nindex \d+\n([^\n]+)\n/, turn);
const moveIndex = (proof: string) => edit(proof, /\nindex (\d+)\n/, (index) => String(Number(index) ^ 1));
const growCheckpoint = (proof: string) =>
  edit(proof, /\n\n[^\n]+\n(\d+)\n/, (size) => String(Number(size) + 1));
const flipRoot = (proof: string) => edit(proof, /\n\n[^\n]+\n\d+\n([^\n]+)\n/, turn);
const flipNote = (proof: string) => edit(proof, /— \S+ (\S+)\n/, turn);
const otherOrigin = (proof: string) => edit(proof, /\n\n([^\n]+)\n/, (origin) => `${origin}x`);
const flipPayload = (dsse: string) => edit(dsse, /"payload":"([^"]+)"/, turn);
const flipSignature = (dsse: string) => edit(dsse, /"sig":"([^"]+)"/, turn);

const link = (change: Partial<Record<keyof LogLink, (text: string) => string>>) => (target: LogLink) => {
  for (const [name, apply] of Object.entries(change)) {
    target[name as keyof LogLink] = apply(target[name as keyof LogLink]);
  }
};

/** What may be altered in one entry of a bundle, and the link that a verdict must name. */
export const LINK_CASES: readonly [what: string, change: (target: LogLink) => void, broken: Link][] = [
  ['the payload of the envelope', link({ dsse: flipPayload }), 'dsse'],
  ['the signature of the envelope', link({ dsse: flipSignature }), 'dsse'],
  ['the payload type', link({ dsse: (text) => text.replace('in-toto+json', 'in-toto+jsom') }), 'dsse'],
  ['the key id', link({ dsse: (text) => edit(text, /"keyid":"([^"]+)"/, () => '0123456789abcdef') }), 'dsse'],
  ['the form of the envelope', link({ dsse: (text) => `${text} ` }), 'dsse'],
  ['the leaf', link({ leaf: (text) => edit(text, /"digest":"([^"]+)"/, turn) }), 'leaf'],
  ['the key in the leaf', link({ leaf: (text) => edit(text, /"rawBytes":"([^"]+)"/, turn) }), 'leaf'],
  ['a hash of the proof', link({ tlog_proof: flipProofHash }), 'proof'],
  ['the index', link({ tlog_proof: moveIndex }), 'proof'],
  ['the header of the proof', link({ tlog_proof: (text) => text.replace('@v1', '@v2') }), 'proof'],
  ['the size of the checkpoint', link({ tlog_proof: growCheckpoint }), 'checkpoint'],
  ['the root of the checkpoint', link({ tlog_proof: flipRoot }), 'checkpoint'],
  ['the signature of the checkpoint', link({ tlog_proof: flipNote }), 'checkpoint'],
  ['the origin of the checkpoint', link({ tlog_proof: otherOrigin }), 'checkpoint'],
];

/** The same for the start entry of a receipt key. Without a readable proof there is no checkpoint to look at: `proof`. */
export const KEY_CASES: typeof LINK_CASES = LINK_CASES.map(([what, change, broken]) => [
  what,
  change,
  what === 'the header of the proof' ? 'proof' : broken === 'checkpoint' ? 'checkpoint' : 'key',
]);

export function specText(base64: string): string {
  return fromUtf8(fromBase64(base64)!)!;
}

/** A job spec with one byte changed, still a well-formed spec. */
export function alterSpec(base64: string): string {
  return toBase64(utf8(specText(base64).replace('who are you?', 'who are you!')));
}
