import { describe, expect, it } from 'vitest';
import { testSigner, verifyEd25519 } from '../../test/support/job-specs.ts';
import { toBase64 } from '../encoding.ts';
import { SigningError } from './error.ts';
import {
  requestMessage,
  signRequest,
  verifyRequest,
  type ExpectedRequest,
  type JobRequest,
} from './request.ts';

const signer = testSigner();
const now = Date.parse('2026-01-01T12:00:00Z');
const request: JobRequest = {
  action: 'cancel',
  job_id: 'job-1',
  timestamp: '2026-01-01T12:00:00Z',
  nonce: 'n1',
};
const expected: ExpectedRequest = { action: 'cancel', jobId: 'job-1', publicKey: toBase64(signer.publicKey) };
const signed = signRequest(request, signer);

function verify(body: unknown, about: Partial<ExpectedRequest> = {}, nowMs = now): JobRequest {
  return verifyRequest(body, { ...expected, ...about }, nowMs, verifyEd25519);
}

function refusal(body: unknown, about: Partial<ExpectedRequest> = {}, nowMs = now): SigningError {
  try {
    verify(body, about, nowMs);
  } catch (error) {
    if (error instanceof SigningError) return error;
    throw error;
  }
  throw new Error('the request was taken');
}

describe('a signed request about a job', () => {
  it('is taken from the key of the job', () => {
    expect(verify(signed)).toEqual(request);
    const one = { ...request, execution_id: 'e-1' };
    expect(verify(signRequest(one, signer), { executionId: 'e-1' })).toEqual(one);
  });

  it('signs RFC 8785 of its subject, and nothing else', () => {
    expect(new TextDecoder().decode(requestMessage(request))).toBe(
      '{"action":"cancel","job_id":"job-1","nonce":"n1","timestamp":"2026-01-01T12:00:00Z"}',
    );
    expect(verify({ ...signed, comment: 'not looked at' })).toEqual(request);
  });

  it('is good for five minutes either way', () => {
    expect(verify(signed, {}, now + 300_000)).toEqual(request);
    expect(verify(signed, {}, now - 300_000)).toEqual(request);
    expect(refusal(signed, {}, now + 300_001).details.reason).toBe('too_old');
    expect(refusal(signed, {}, now - 300_001).details.reason).toBe('too_far_in_future');
  });

  it.each([
    ['another job', signed, { jobId: 'job-2' }, 'validation_error'],
    ['another action', signed, { action: 'retry' as const }, 'validation_error'],
    ['one execution, asked of the whole job', signed, { executionId: 'e-1' }, 'validation_error'],
    ['the whole job, asked of one execution', { ...signed, execution_id: 'e-1' }, {}, 'validation_error'],
    ['a changed nonce', { ...signed, nonce: 'n2' }, {}, 'signature_mismatch'],
    ['a changed time', { ...signed, timestamp: '2026-01-01T12:00:01Z' }, {}, 'signature_mismatch'],
    ["a key that is not the job's", signRequest(request, testSigner()), {}, 'signature_mismatch'],
    ['no signature', { ...signed, signature: undefined }, {}, 'missing_field:signature'],
    ['no key', { ...signed, public_key: '' }, {}, 'missing_field:public_key'],
    ['no nonce', { ...signed, nonce: null }, {}, 'missing_field:nonce'],
    ['no time', { ...signed, timestamp: undefined }, {}, 'missing_field:timestamp'],
    ['a time that is none', { ...signed, timestamp: 'now' }, {}, 'timestamp_invalid'],
    ['a nonce that is a number', { ...signed, nonce: 5 }, {}, 'validation_error'],
    ['a nonce that is too long', { ...signed, nonce: 'n'.repeat(257) }, {}, 'validation_error'],
    ['half a surrogate pair', { ...signed, nonce: '\ud800' }, {}, 'validation_error'],
    ['a short signature', { ...signed, signature: 'AAAA' }, {}, 'invalid_encoding:public_key'],
    ['nothing', null, {}, 'missing_field:signature'],
    ['a text', 'cancel', {}, 'missing_field:signature'],
  ])('is refused: %s', (_, body, about, code) => {
    expect(refusal(body, about).code).toBe(code);
  });
});
