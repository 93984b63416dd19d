import { expect, test } from 'vitest';
import { utf8 } from '../domain/encoding.ts';
import { verifyBundleBytes } from '../domain/receipt/verify.ts';
import { generateReceiptKey } from '../attestation/keys/receipt-key.ts';
import { seeded, sitesOf } from './support/mutations.ts';
import { signedJob } from './support/signed-job.ts';

const MUTATIONS = 10_000;
const SEED = 20_260_801;

/**
 * One place of a good bundle is changed: a value, a key that nobody knows or that stands there twice, base64 in another
 * form; at every depth, from the file down to the checkpoint's signature.
 */
test('of 10,000 mutated bundles and proofs none is accepted', { timeout: 600_000 }, async () => {
  const signed = await signedJob();
  const [first, second] = [generateReceiptKey(), generateReceiptKey()];
  const rotated = await signed.remade({ keys: [first, second] });
  const chained = {
    ...signed.execution,
    ...rotated.executions[1]!,
    key_proof: rotated.key_proofs[1]!,
    key_chain: [rotated.key_proofs[0]!],
  };
  const random = seeded(SEED);
  const accepted: string[] = [];
  let tried = 0;
  const bundles = [signed.execution, chained, signed.job];
  for (const [i, bundle] of bundles.entries()) {
    const original = JSON.stringify(bundle);
    const verify = (text: string) => verifyBundleBytes(utf8(text), signed.trust, signed.tools);
    expect(verify(original)).toMatchObject({ ok: true });
    const sites = sitesOf(bundle);
    const wanted = Math.ceil(((i + 1) * MUTATIONS) / bundles.length);
    for (let n = 0; tried < wanted; n++) {
      // Every place at least once, then any.
      const site = sites[n < sites.length ? n : random(sites.length)]!;
      const text = site.change(random);
      if (text === original) continue;
      tried++;
      if (verify(text).ok) accepted.push(site.where);
    }
    expect(sites.length).toBeLessThan(MUTATIONS / bundles.length);
  }
  expect(accepted).toEqual([]);
  expect(tried).toBe(MUTATIONS);
});
