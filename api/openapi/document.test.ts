import { randomUUID } from 'node:crypto';
import { signRead } from '../../domain/signing/signed-read.ts';
import { Validator } from '@seriousme/openapi-schema-validator';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { OpenAPIV3_1 } from 'openapi-types';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createPool } from '../../store/pool.ts';
import { OPERATOR_TOKEN, signedJob, testApi, testKey, type TestApi } from '../../test/support/api.ts';
import { readDocument, type ReadDocument } from '../../test/support/conformance.ts';
import { ERRORS } from '../errors.ts';
import { BEFORE_ANY_ROUTE } from './errors.ts';
import { readExamples } from './examples.ts';

const VECTORS = path.join(import.meta.dirname, '../../test/vectors');

let api: TestApi;
let read: ReadDocument;
let operations: { method: string; url: string; operation: OpenAPIV3_1.OperationObject }[];

beforeAll(async () => {
  api = await testApi();
  const answer = await api.get('/openapi.json');
  read = readDocument(answer.json as OpenAPIV3_1.Document);
  operations = Object.entries(read.document.paths ?? {}).flatMap(([url, item]) =>
    Object.entries(item ?? {}).map(([method, operation]) => ({
      method,
      url,
      operation: operation as OpenAPIV3_1.OperationObject,
    })),
  );
});
afterAll(() => api[Symbol.asyncDispose]());

test('is valid OpenAPI 3.1', async () => {
  const { valid, errors } = await new Validator().validate(structuredClone(read.document));
  expect(errors ?? []).toEqual([]);
  expect(valid).toBe(true);
  expect(read.document.openapi).toBe('3.1.0');
});

test('tells of every route but the page itself', () => {
  const known = (['GET', 'POST'] as const).flatMap((method) =>
    [...api.app.printRoutes({ method }).matchAll(/ \(/g)].map(() => method),
  );
  expect(operations.map(({ method }) => method.toUpperCase()).sort()).toEqual(
    known.slice(HIDDEN.length).sort(),
  );
});
/** `/`, and the page with what it loads. */
const HIDDEN = ['/', '/docs', '/docs/', '/docs/:file'];

test('names each operation once and says what each answer is', () => {
  const ids = operations.map(({ operation }) => operation.operationId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { method, url, operation } of operations) {
    const at = `${method} ${url}`;
    expect([at, operation.summary, operation.tags?.length]).toEqual([at, expect.any(String), 1]);
    for (const [status, answer] of Object.entries(operation.responses ?? {}))
      expect([at, status, answer]).toEqual([
        at,
        status,
        expect.objectContaining({ description: expect.not.stringMatching(/^(Default Response)?$/) }),
      ]);
  }
});

test('lists every code of the catalogue somewhere', () => {
  const listed = new Set<string>(BEFORE_ANY_ROUTE);
  for (const { operation } of operations)
    for (const code of Object.keys(ERRORS))
      if (JSON.stringify(operation.responses).includes(`"${code}"`)) listed.add(code);
  expect(Object.keys(ERRORS).filter((code) => !listed.has(code))).toEqual([]);
});

test('refers only to what is there, and holds nothing that nobody refers to', () => {
  const text = JSON.stringify(read.document);
  const used = new Set(
    [...text.matchAll(/"#\/components\/(schemas|parameters|headers)\/([^"]+)"/g)].map(
      ([, kind, name]) => `${kind}/${name}`,
    ),
  );
  const { schemas = {}, parameters = {}, headers = {} } = read.document.components ?? {};
  const there = Object.entries({ schemas, parameters, headers }).flatMap(([kind, all]) =>
    Object.keys(all).map((name) => `${kind}/${name}`),
  );
  expect([...used].sort()).toEqual(there.sort());
  expect(text.match(/x-facts|\w+Input"/g)).toBeNull();
});

test('asks for credentials where the service does', () => {
  const of = (id: string) =>
    operations.find(({ operation }) => operation.operationId === id)!.operation.security;
  expect(of('submitJob')).toEqual([]);
  expect(of('getCheckpoint')).toEqual([]);
  expect(of('getJob')).toEqual([{}, { owner: [] }, { operator: [] }, { adminToken: [] }]);
  expect(of('cancelJob')).toEqual([{ operator: [] }, { adminToken: [] }, {}]);
});

test.each(readdirSync(VECTORS))('takes %s, which clients signed, for a JobSpec', (name) => {
  const judge = read.validator({ $ref: '#/components/schemas/JobSpec' });
  expect([judge(JSON.parse(readFileSync(path.join(VECTORS, name), 'utf8'))), judge.errors]).toEqual([
    true,
    null,
  ]);
});

describe('without a database', () => {
  test('every operation fails as it says, and no other way', async () => {
    const pool = createPool({ databaseUrl: 'postgres://nobody@127.0.0.1:9/none', name: 'test' });
    await using broken = await testApi({ pool });
    const examples = readExamples();
    const seen: string[] = [];
    for (const { operation } of operations) {
      const exchange = examples.get(operation.operationId!)![0]!;
      const { method, url } = exchange.request;
      // Only the owner of private jobs gets a ticket, by a signature that is good once.
      const read = { method, path: url, timestamp: new Date().toISOString(), nonce: randomUUID() };
      const headers = {
        'content-type': 'application/json',
        ...(operation.operationId === 'createFeedTicket'
          ? { 'beacon-signature': signRead(read, testKey()) }
          : { authorization: `Bearer ${OPERATOR_TOKEN}` }),
      };
      const payload = method === 'POST' ? JSON.stringify(signedJob(testKey())) : undefined;
      const { statusCode } = await broken.app.inject({
        method: method as 'GET',
        url,
        headers,
        ...(payload === undefined ? {} : { payload }),
      });
      const saysSo = JSON.stringify(operation.responses).includes('"persistence_unavailable"');
      if ((statusCode === 503) !== saysSo && !url.includes('/health'))
        seen.push(`${operation.operationId}: ${statusCode}`);
    }
    expect(seen).toEqual([]);
  });
});
