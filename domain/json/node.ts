/**
 * A JSON text as it was read: members in the order of the text, every key once. Numbers are their IEEE double, because
 * every canonical form that was ever signed covers the double and not its spelling (docs/decisions.md); reading more
 * digits out of the text than the signature covers would let anybody change a signed job.
 */
export type JsonNode = null | boolean | number | string | JsonNode[] | JsonObject;
export type JsonObject = Map<string, JsonNode>;

/** A JSON object without prototype, so that `__proto__` and `constructor` are keys like any other. */
export type PlainObject = Record<string, unknown>;

export function isJsonObject(node: JsonNode | undefined): node is JsonObject {
  return node instanceof Map;
}

/** The plain tree of `node`: objects without prototype, arrays, and primitives. A fresh copy each time. */
export function toPlain(node: JsonObject): PlainObject;
export function toPlain(node: JsonNode): unknown;
export function toPlain(node: JsonNode): unknown {
  if (Array.isArray(node)) return node.map((item) => toPlain(item));
  if (!isJsonObject(node)) return node;
  const plain = Object.create(null) as PlainObject;
  for (const [key, member] of node) plain[key] = toPlain(member);
  return plain;
}
