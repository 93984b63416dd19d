import { describe, expect, it } from 'vitest';
import { generateLogKey } from '../../attestation/keys/log-key.ts';
import { nodeSha256 } from '../../attestation/keys/node-verifiers.ts';
import { cosignerKey, formatCosignerVkey } from './cosignature.ts';
import { parsePolicy } from './policy.ts';
import { formatVkey, noteKey } from './vkey.ts';

const names = ['x1', 'x2', 'x3', 'y1', 'y2', 'y3'];
const witnesses = names.map((name) =>
  cosignerKey(`witness.test/${name}`, generateLogKey().publicKey, nodeSha256),
);
const log = noteKey('beacon.test/log', generateLogKey().publicKey, nodeSha256);
const line = (i: number, url = '') => `witness ${names[i]} ${formatCosignerVkey(witnesses[i]!)} ${url}`;
const all = names.map((_, i) => line(i)).join('\n');
const parse = (text: string) => parsePolicy(text, nodeSha256);
const reason = (text: string): string => {
  try {
    parse(text);
  } catch (error) {
    return (error as Error).message;
  }
  return 'taken';
};

describe('a policy', () => {
  it('with groups of groups is met as the example of the specification says', () => {
    const policy = parse(`# two organisations
log ${formatVkey(log)} https://log.test/

${all}
group X-witnesses 2 x1 x2 x3
\tgroup  Y-witnesses any y1 y2\ty3
group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
`);
    const met = (...who: number[]) => policy.isMet(who.map((i) => witnesses[i]!));
    expect(policy.logs).toEqual([{ key: log, url: 'https://log.test/' }]);
    // Every subset, held against the rule in words.
    for (let bits = 0; bits < 64; bits += 1) {
      const who = names.map((_, i) => i).filter((i) => (bits >> i) & 1);
      const wanted = who.filter((i) => i < 3).length >= 2 && who.some((i) => i >= 3);
      expect([who, met(...who)]).toEqual([who, wanted]);
    }
    // One witness twice is one; another key of a known name is nobody.
    expect(met(0, 0, 3)).toBe(false);
    const stranger = cosignerKey(witnesses[1]!.name, generateLogKey().publicKey, nodeSha256);
    expect(policy.isMet([witnesses[0]!, stranger, witnesses[3]!])).toBe(false);
  });

  it('may ask for one witness, or for nobody', () => {
    const one = parse(`${line(0, 'http://127.0.0.1:1')}\nquorum x1`);
    expect(one.witnesses).toEqual([{ name: 'x1', key: witnesses[0], url: 'http://127.0.0.1:1' }]);
    expect([one.isMet([]), one.isMet([witnesses[0]!])]).toEqual([false, true]);
    expect(parse('quorum none\n').isMet([])).toBe(true);
  });

  it.each([
    ['', 'no quorum line'],
    ['quorum x1', 'line 1: "x1" is not defined'],
    ['quorum none\nquorum none', 'line 2: a second quorum'],
    ['quorum none x', 'one name'],
    ['quorum none\r', 'control character'],
    ['witnes a b', '"witnes" is none of'],
    [`${line(0)}\n${line(0).replace('x1', 'x9')}\nquorum none`, 'line 2: this witness'],
    [`log ${formatVkey(log)}\nlog ${formatVkey(log)}`, "this log's key"],
    [`log ${formatCosignerVkey(witnesses[0]!)}`, 'not an Ed25519 verifier key'],
    [`witness w ${formatVkey(log)}`, 'not an Ed25519 cosigner key'],
    [`witness none ${formatCosignerVkey(witnesses[0]!)}`, '"none" is no name'],
    [`${line(0)}\ngroup x1 any x1`, '"x1" is defined already'],
    [`${all}\ngroup g 0 x1`, 'none of all, any, 1 to 1'],
    [`${all}\ngroup g 3 x1 x2`, 'none of all, any, 1 to 2'],
    [`${all}\ngroup g 01 x1 x2`, 'none of all'],
    [`${all}\ngroup g any`, 'a group is'],
    [`${all}\ngroup g any g`, '"g" is not defined'],
    [`${all}\ngroup g any none`, '"none" is not defined'],
    [`${all}\ngroup g any x1 x1`, 'in a group already'],
    [`${all}\ngroup g any x1\ngroup h all x1 x2`, 'in a group already'],
    ['\n'.repeat(2_000), 'more than'],
  ])('%j is refused', (text, because) => {
    expect(reason(text)).toContain(because);
  });
});
