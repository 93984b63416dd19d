import { isJsonObject, type JsonNode } from '../../domain/json/node.ts';

/** `node` as JSON with two spaces per level, members in the order in which they were read, integer-like keys too. */
export function indentJson(node: JsonNode, indent = ''): string {
  const inner = `${indent}  `;
  if (Array.isArray(node)) {
    if (node.length === 0) return '[]';
    return `[\n${node.map((item) => inner + indentJson(item, inner)).join(',\n')}\n${indent}]`;
  }
  if (!isJsonObject(node)) return JSON.stringify(node);
  if (node.size === 0) return '{}';
  const members = [...node].map(
    ([key, member]) => `${inner}${JSON.stringify(key)}: ${indentJson(member, inner)}`,
  );
  return `{\n${members.join(',\n')}\n${indent}}`;
}
