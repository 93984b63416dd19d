import { parseJobSpec } from '../../domain/jobspec/spec.ts';
import { isJsonObject, type JsonNode, type JsonObject } from '../../domain/json/node.ts';

/** Signed by everybody, and created_at beside them: not read where the rest is, but not misspelt either. */
const READ_ELSEWHERE = ['signature', 'public_key', 'created_at'];

/**
 * Members of a spec that nothing reads, as paths: signed and kept, but without effect. A misspelt one looks like any
 * other (`visibilty` makes no job private), so the command says which they are. Empty where the spec is wrong anyhow.
 */
export function unreadMembers(spec: JsonObject): string[] {
  const watched = watch(spec) as Watched;
  try {
    parseJobSpec(watched);
  } catch {
    return [];
  }
  return watched.unread('').filter((path) => !READ_ELSEWHERE.includes(path));
}

/** Remembers which of its members were asked for; whoever walks over all of them has read all. */
class Watched extends Map<string, JsonNode> {
  readonly #asked = new Set<string>();
  #walked = false;

  override get(key: string): JsonNode | undefined {
    this.#asked.add(key);
    return super.get(key);
  }

  override [Symbol.iterator](): ReturnType<Map<string, JsonNode>['entries']> {
    this.#walked = true;
    return super.entries();
  }

  unread(prefix: string): string[] {
    if (this.#walked) return [];
    return [...super.keys()].flatMap((key) =>
      this.#asked.has(key) ? unreadIn(super.get(key)!, `${prefix}${key}`) : [`${prefix}${key}`],
    );
  }
}

function unreadIn(node: JsonNode, path: string): string[] {
  if (Array.isArray(node)) return node.flatMap((item, at) => unreadIn(item, `${path}[${at}]`));
  return node instanceof Watched ? node.unread(`${path}.`) : [];
}

function watch(node: JsonNode): JsonNode {
  if (Array.isArray(node)) return node.map(watch);
  if (!isJsonObject(node)) return node;
  const watched = new Watched();
  for (const [key, member] of node) watched.set(key, watch(member));
  return watched;
}
