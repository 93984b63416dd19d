import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { OpenAPIV3_1 } from 'openapi-types';
import { format } from 'prettier';
import { beforeAll, expect, test } from 'vitest';
import { nodeVerifiers } from '../../attestation/keys/node-verifiers.ts';
import { utf8 } from '../../domain/encoding.ts';
import { canonicalJson } from '../../domain/json/jcs.ts';
import { cidOfDigest } from '../../domain/receipt/cid.ts';
import { specVerifier } from '../../domain/receipt/spec-facts.ts';
import { verifyBundle } from '../../domain/receipt/verify.ts';
import { testApi } from '../../test/support/api.ts';
import { readDocument, type ReadDocument } from '../../test/support/conformance.ts';
import { playExchanges } from '../../test/support/example-exchanges.ts';
import { EXAMPLES_FOLDER, readExamples, type Exchange } from './examples.ts';

/** What is played becomes the examples: `npm run examples:record`. */
const RECORD = process.env.BEACON_RECORD_EXAMPLES === '1';
/** Answers that are bytes, a WebSocket, or the document itself. */
const WITHOUT_BODY = [
  'getTile 200',
  'getTileOfLog 200',
  'getIpfs 200',
  'getIpfsPath 200',
  'openFeed 101',
  'getOpenApi 200',
];

let played: Map<string, Exchange[]>;
let recorded: Map<string, Exchange[]>;
let read: ReadDocument;
let operations: [path: string, OpenAPIV3_1.OperationObject][];

beforeAll(async () => {
  played = await playExchanges();
  if (RECORD) await record(played);
  recorded = readExamples();
  await using api = await testApi();
  read = readDocument((await api.get('/openapi.json')).json as OpenAPIV3_1.Document);
  operations = Object.entries(read.document.paths ?? {}).flatMap(([url, item]) =>
    [item?.get, item?.post].flatMap((operation) =>
      operation === undefined ? [] : [[url, operation] satisfies [string, OpenAPIV3_1.OperationObject]],
    ),
  );
});

async function record(exchanges: Map<string, Exchange[]>): Promise<void> {
  await mkdir(EXAMPLES_FOLDER, { recursive: true });
  for (const [id, some] of exchanges) {
    const text = await format(JSON.stringify(some), { parser: 'json', printWidth: 110 });
    await writeFile(path.join(EXAMPLES_FOLDER, `${id}.json`), text);
  }
}

function example(operationId: string, name: string): Exchange {
  const found = recorded.get(operationId)?.find((exchange) => exchange.name === name);
  if (found === undefined) throw new Error(`no example ${name} of ${operationId}`);
  return found;
}

test('every operation has an example of each good answer and of its body, and no other file lies beside', () => {
  const ids = operations.map(([, { operationId }]) => operationId!);
  expect([...recorded.keys()].sort()).toEqual([...ids].sort());
  const missing: string[] = [];
  for (const [, { operationId, requestBody, responses }] of operations) {
    if (requestBody !== undefined && !hasExamples(requestBody)) missing.push(`${operationId} request`);
    for (const [status, answer] of Object.entries(responses ?? {}))
      if ('content' in answer && !hasExamples(answer)) missing.push(`${operationId} ${status}`);
  }
  expect(missing.filter((name) => !WITHOUT_BODY.includes(name))).toEqual([]);
});

function hasExamples(holder: object): boolean {
  const { content = {} } = holder as OpenAPIV3_1.ResponseObject;
  return Object.values(content).some(({ examples }) => Object.keys(examples ?? {}).length > 0);
}

test('every example in the document is as its schema says', () => {
  const faults: string[] = [];
  let judged = 0;
  for (const [, operation] of operations) {
    const holders = [operation.requestBody, ...Object.values(operation.responses ?? {})];
    for (const { schema, examples } of holders.flatMap((holder) => mediaOf(holder))) {
      for (const [name, shown] of Object.entries(examples ?? {})) {
        if (schema === undefined || refusedOnPurpose(operation, name, shown)) continue;
        const judge = read.validator(schema);
        judged++;
        if (!judge(valueOf(shown)))
          faults.push(`${operation.operationId} ${name}: ${JSON.stringify(judge.errors)}`);
      }
    }
  }
  expect(faults).toEqual([]);
  expect(judged).toBeGreaterThan(250);
});

function mediaOf(holder: unknown): OpenAPIV3_1.MediaTypeObject[] {
  return Object.values((holder as OpenAPIV3_1.ResponseObject | undefined)?.content ?? {});
}

function valueOf(shown: OpenAPIV3_1.ReferenceObject | OpenAPIV3_1.ExampleObject): unknown {
  if (!('$ref' in shown)) return shown.value;
  const name = shown.$ref.replace('#/components/examples/', '');
  return (read.document.components!.examples![name] as OpenAPIV3_1.ExampleObject).value;
}

/** Bodies that show what is refused because of its shape. */
function refusedOnPurpose(
  { operationId }: OpenAPIV3_1.OperationObject,
  name: string,
  shown: object,
): boolean {
  const { value } = shown as OpenAPIV3_1.ExampleObject;
  const isRequest = recorded
    .get(operationId!)
    ?.some(({ request, name: of }) => of === name && JSON.stringify(request.body) === JSON.stringify(value));
  return isRequest === true && ['invalid_json', 'missing_field:signature'].includes(name);
}

test('examples of errors name a code of their route', () => {
  for (const [id, exchanges] of recorded) {
    const operation = operations.find(([, { operationId }]) => operationId === id)![1];
    for (const { name, answer } of exchanges.filter(({ answer: { status } }) => status >= 400)) {
      const { code } = answer.body as { code?: string };
      if (code === undefined) continue;
      expect([id, code]).toEqual([id, name]);
      expect(JSON.stringify(operation.responses![answer.status])).toContain(`"${code}"`);
    }
  }
});

test('examples are what the service answers now', () => {
  for (const [id, now] of played) {
    const shown = recorded.get(id) ?? [];
    const outline = (exchanges: Exchange[]) =>
      exchanges.map(({ name, summary, request, answer }) => ({
        name,
        summary,
        method: request.method,
        status: answer.status,
        headers: Object.keys(answer.headers),
      }));
    expect([id, outline(shown)]).toEqual([id, outline(now)]);
    now.forEach(({ answer, request }, i) => {
      const differences = [
        ...differing(shown[i]!.request.body, request.body, 'request'),
        ...differing(shown[i]!.answer.body, answer.body, 'answer'),
      ];
      expect([id, shown[i]!.name, differences]).toEqual([id, shown[i]!.name, []]);
    });
  }
});

/** Where two values do not have the same members and types. What is null in one of them is not compared. */
function differing(one: unknown, other: unknown, at: string): string[] {
  if (one === null || other === null) return [];
  if (Array.isArray(one) && Array.isArray(other)) {
    const both = Math.min(one.length, other.length);
    return Array.from({ length: both }, (_, i) => differing(one[i], other[i], `${at}[${i}]`)).flat();
  }
  if (typeof one !== typeof other) return [`${at}: ${typeof one} and ${typeof other}`];
  if (typeof one !== 'object') return [];
  const [a, b] = [one as Record<string, unknown>, other as Record<string, unknown>];
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].flatMap((key) =>
    Object.hasOwn(a, key) && Object.hasOwn(b, key)
      ? differing(a[key], b[key], `${at}.${key}`)
      : [`${at}.${key}: only in one`],
  );
}

test('examples prove one another: signature, receipt, bundle and log hold', () => {
  const { vkey, root } = example('getLogRoot', 'root').answer.body as { vkey: string; root: string };
  const trust = { vkeys: [vkey] };
  const tools = { verifiers: nodeVerifiers, verifySpec: specVerifier(nodeVerifiers) };
  for (const [id, kind] of [
    ['getExecutionBundle', 'execution'],
    ['getJobBundle', 'job'],
  ] as const) {
    expect(verifyBundle(example(id, 'bundle').answer.body, trust, tools)).toMatchObject({ ok: true, kind });
  }
  const receipt = example('getReceipt', 'receipt').answer;
  const bytes = utf8(canonicalJson(receipt.body));
  expect(receipt.headers.etag).toBe(`"${cidOfDigest(createHash('sha256').update(bytes).digest())}"`);
  expect(example('getProof', 'execution').answer.body).toMatchObject({ root });
  const submitted = example('submitJob', 'accepted').request.body;
  expect(example('getJobSpec', 'spec').answer.body).toEqual(submitted);
  const { job } = example('getJob', 'ended').answer.body as { job: { form: string } };
  expect(tools.verifySpec(utf8(JSON.stringify(submitted))).form).toBe(job.form);
});
