import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { OpenAPIV3_1 } from 'openapi-types';

/** One request and its answer as they went over the wire; `examples.test.ts` records them. */
export interface Exchange {
  /** Names the example; the code of the answer where it is an error. */
  name: string;
  summary: string;
  request: { method: string; url: string; headers?: Record<string, string>; body?: unknown };
  /** `body`: the value of JSON, else text; absent when there is none, or bytes that are neither. */
  answer: { status: number; headers: Record<string, string>; body?: unknown };
}

/** Beside the sources two folders up, beside dist/api/openapi three. */
export const EXAMPLES_FOLDER = path.join(
  import.meta.dirname.replace(/([\\/])dist([\\/]api)/, '$2'),
  '..',
  '..',
  'examples',
  'http',
);

/** The recorded exchanges of each operation, by its id. */
export function readExamples(): Map<string, Exchange[]> {
  return new Map(
    readdirSync(EXAMPLES_FOLDER)
      .filter((name) => name.endsWith('.json'))
      .map((name) => [
        path.basename(name, '.json'),
        JSON.parse(readFileSync(path.join(EXAMPLES_FOLDER, name), 'utf8')) as Exchange[],
      ]),
  );
}

/** Shows exchanges at an operation: bodies and parameters of requests, bodies of answers. */
export function addExamples(
  template: string,
  operation: OpenAPIV3_1.OperationObject,
  exchanges: readonly Exchange[],
): void {
  for (const { name, summary, request, answer } of exchanges) {
    const body = operation.requestBody;
    if (request.body !== undefined && body !== undefined && 'content' in body)
      show(body.content['application/json'], name, summary, request.body);
    const response = operation.responses?.[answer.status];
    if (answer.body === undefined || response === undefined || !('content' in response)) continue;
    const [type = ''] = (answer.headers['content-type'] ?? '').split(';');
    const media = response.content[type];
    show(media, name, answer.status < 400 ? summary : `${name}: ${summary}`, answer.body);
  }
  const [first] = exchanges;
  if (first !== undefined) showParameters(template, operation, first.request);
}

function show(
  media: OpenAPIV3_1.MediaTypeObject | undefined,
  name: string,
  summary: string,
  value: unknown,
): void {
  if (media === undefined) return;
  media.examples = { ...media.examples, [name]: { summary, value } };
}

function showParameters(
  template: string,
  operation: OpenAPIV3_1.OperationObject,
  { url, headers = {} }: Exchange['request'],
): void {
  const { pathname, searchParams } = new URL(url, 'http://localhost');
  const inPath = new RegExp(`^${template.replace(/\{(\w+)\}/g, '(?<$1>.+)')}$`).exec(pathname)?.groups ?? {};
  const given: Record<string, (name: string) => string | null | undefined> = {
    path: (name) => inPath[name] && decodeURIComponent(inPath[name]),
    query: (name) => searchParams.get(name),
    header: (name) => headers[name.toLowerCase()],
  };
  for (const parameter of operation.parameters ?? []) {
    if (!('in' in parameter)) continue;
    const text = given[parameter.in]?.(parameter.name) ?? undefined;
    if (text !== undefined) parameter.example = isNumber(parameter.schema) ? Number(text) : text;
  }
}

function isNumber(schema: OpenAPIV3_1.ParameterObject['schema']): boolean {
  return schema !== undefined && 'type' in schema && schema.type === 'integer';
}
