import type { OpenAPIV3_1 } from 'openapi-types';

const SCHEMAS = '#/components/schemas/';
const INPUT = 'Input';

/** Takes out what the generator writes and no reader needs. */
export function tidyDocument(document: OpenAPIV3_1.Document): OpenAPIV3_1.Document {
  return onlyUsedSchemas(tidy(document) as OpenAPIV3_1.Document);
}

/** Bounds of JavaScript's numbers, and the pattern of what has a format, say nothing. Examples are left as they are. */
function tidy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(tidy);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(
    ([key, child]) =>
      !(key === 'pattern' && 'format' in value) &&
      !((key === 'maximum' || key === 'minimum') && Math.abs(child as number) === Number.MAX_SAFE_INTEGER),
  );
  return Object.fromEntries(
    entries.map(([key, child]) => [key, key === 'value' || key === 'example' ? child : tidy(child)]),
  );
}

/** The generator writes every schema twice, as it comes in and as it goes out; one of them is referred to. */
function onlyUsedSchemas(document: OpenAPIV3_1.Document): OpenAPIV3_1.Document {
  const schemas = document.components?.schemas ?? {};
  const used = new Set<string>();
  const follow = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, child] of Object.entries(value)) {
      if (key !== '$ref' || typeof child !== 'string' || !child.startsWith(SCHEMAS)) follow(child);
      else if (!used.has(child.slice(SCHEMAS.length))) {
        used.add(child.slice(SCHEMAS.length));
        follow(schemas[child.slice(SCHEMAS.length)]);
      }
    }
  };
  follow(document.paths);
  /** Of its pair, or the same as the other. */
  const isTheOnlyOne = (name: string): boolean => {
    const other = name.slice(0, -INPUT.length);
    return !used.has(other) || JSON.stringify(schemas[name]) === JSON.stringify(schemas[other]);
  };
  const renamed = new Map(
    [...used]
      .filter((name) => name.endsWith(INPUT) && isTheOnlyOne(name))
      .map((name) => [`${SCHEMAS}${name}`, `${SCHEMAS}${name.slice(0, -INPUT.length)}`]),
  );
  const kept: Record<string, OpenAPIV3_1.SchemaObject> = {};
  for (const [name, schema] of Object.entries(schemas)) {
    const path = `${SCHEMAS}${name}`;
    if (used.has(name)) kept[(renamed.get(path) ?? path).slice(SCHEMAS.length)] = schema;
  }
  const whole = { ...document, components: { ...document.components, schemas: kept } };
  const rename = (key: string, value: unknown): unknown =>
    key === '$ref' && typeof value === 'string' ? (renamed.get(value) ?? value) : value;
  const text = JSON.stringify(whole);
  return JSON.parse(text, rename) as OpenAPIV3_1.Document;
}
