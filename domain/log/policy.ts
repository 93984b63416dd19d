import type { Sha256 } from '../crypto.ts';
import { toHex } from '../encoding.ts';
import { parseCosignerVkey, type CosignerKey } from './cosignature.ts';
import { LogError } from './error.ts';
import { parseVkey, type NoteKey } from './vkey.ts';

/** A trust policy of C2SP tlog-policy: which logs, which witnesses, and whose cosignatures are enough. */
export interface Policy {
  logs: { key: NoteKey; url: string | undefined }[];
  witnesses: PolicyWitness[];
  /** Whether those who cosigned are enough. */
  isMet(cosigned: readonly CosignerKey[]): boolean;
}

export interface PolicyWitness {
  /** Means something in this policy only. */
  name: string;
  key: CosignerKey;
  /** The prefix for `add-checkpoint`; who only verifies needs none. */
  url: string | undefined;
}

/** More than anybody needs; the specification asks for 32 of each. */
const MAX_LINES = 1_000;

type IsMet = (cosigned: ReadonlySet<string>) => boolean;

/** Reads a policy; throws LogError `policy_malformed` that names the line. */
export function parsePolicy(text: string, sha256: Sha256): Policy {
  const policy = new PolicyReader(sha256);
  const lines = text.split('\n');
  if (lines.length > MAX_LINES) throw malformed(`has more than ${MAX_LINES} lines`);
  lines.forEach((line, at) => {
    try {
      policy.read(line);
    } catch (error) {
      throw malformed(`line ${at + 1}: ${error instanceof Error ? error.message : String(error)}`);
    }
  });
  return policy.finish();
}

class PolicyReader {
  readonly #sha256: Sha256;
  readonly #logs: Policy['logs'] = [];
  readonly #witnesses: PolicyWitness[] = [];
  /** Witnesses and groups share their names. */
  readonly #rules = new Map<string, IsMet>();
  readonly #grouped = new Set<string>();
  readonly #publicKeys = { log: new Set<string>(), witness: new Set<string>() };
  #quorum: IsMet | undefined;

  constructor(sha256: Sha256) {
    this.#sha256 = sha256;
  }

  read(line: string): void {
    if (/[\0-\u0008\u000b-\u001f\u007f]/.test(line)) throw new Error('a control character');
    const [keyword = '', ...items] = line.split(/[ \t]+/).filter((item) => item !== '');
    if (keyword === '' || keyword.startsWith('#')) return;
    if (keyword === 'log') this.#readLog(items);
    else if (keyword === 'witness') this.#readWitness(items);
    else if (keyword === 'group') this.#readGroup(items);
    else if (keyword === 'quorum') this.#readQuorum(items);
    else throw new Error(`"${keyword}" is none of log, witness, group, quorum`);
  }

  finish(): Policy {
    const quorum = this.#quorum;
    if (quorum === undefined) throw malformed('has no quorum line');
    return {
      logs: this.#logs,
      witnesses: this.#witnesses,
      isMet: (cosigned) => quorum(new Set(cosigned.map(keyText))),
    };
  }

  #readLog([vkey = '', url, ...rest]: string[]): void {
    if (rest.length > 0) throw new Error('a log is <vkey> [<url>]');
    const key = parseVkey(vkey, this.#sha256);
    this.#once('log', key);
    this.#logs.push({ key, url });
  }

  #readWitness([name = '', vkey = '', url, ...rest]: string[]): void {
    if (vkey === '' || rest.length > 0) throw new Error('a witness is <name> <vkey> [<url>]');
    const key = parseCosignerVkey(vkey, this.#sha256);
    this.#once('witness', key);
    const text = keyText(key);
    this.#define(name, (cosigned) => cosigned.has(text));
    this.#witnesses.push({ name, key, url });
  }

  #readGroup([name = '', wanted = '', ...members]: string[]): void {
    if (members.length === 0) throw new Error('a group is <name> all|any|<k> <name>…');
    const rules = members.map((member) => {
      const rule = this.#defined(member);
      // So a witness counts in one way only.
      if (this.#grouped.has(member)) throw new Error(`"${member}" is in a group already`);
      this.#grouped.add(member);
      return rule;
    });
    const k = wanted === 'all' ? rules.length : wanted === 'any' ? 1 : thresholdOf(wanted, rules.length);
    this.#define(name, (cosigned) => rules.filter((rule) => rule(cosigned)).length >= k);
  }

  #readQuorum([name = '', ...rest]: string[]): void {
    if (rest.length > 0) throw new Error('a quorum is one name');
    if (this.#quorum !== undefined) throw new Error('a second quorum');
    this.#quorum = name === 'none' ? () => true : this.#defined(name);
  }

  #define(name: string, rule: IsMet): void {
    if (name === '' || name === 'none') throw new Error('"none" is no name to give');
    if (this.#rules.has(name)) throw new Error(`"${name}" is defined already`);
    this.#rules.set(name, rule);
  }

  #defined(name: string): IsMet {
    const rule = this.#rules.get(name);
    if (rule === undefined) throw new Error(`"${name}" is not defined on a line before`);
    return rule;
  }

  #once(kind: 'log' | 'witness', { publicKey }: NoteKey): void {
    const key = toHex(publicKey);
    if (this.#publicKeys[kind].has(key)) throw new Error(`this ${kind}'s key stands there already`);
    this.#publicKeys[kind].add(key);
  }
}

function thresholdOf(text: string, members: number): number {
  const k = /^[1-9]\d{0,4}$/.test(text) ? Number(text) : 0;
  if (k < 1 || k > members) throw new Error(`"${text}" is none of all, any, 1 to ${members}`);
  return k;
}

const keyText = ({ name, id, publicKey }: CosignerKey): string => `${name} ${toHex(id)} ${toHex(publicKey)}`;

function malformed(reason: string): LogError {
  return new LogError('policy_malformed', `the policy ${reason}`);
}
