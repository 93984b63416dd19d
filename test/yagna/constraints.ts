/**
 * Golem's constraint language (LDAP-like, RFC 2254): `(&(a=b)(c>=1))`, with `&`, `|`, `!`, the comparisons = < <= > >= and
 * `=*` for "is there". A value may hold `*` as a wildcard; a property that is a list matches when one of its items does.
 */
export type Constraint =
  | { kind: 'and' | 'or'; all: Constraint[] }
  | { kind: 'not'; one: Constraint }
  | { kind: 'compare'; property: string; operator: '=' | '<' | '<=' | '>' | '>='; value: string };

export class ConstraintSyntaxError extends Error {}

export function parseConstraint(text: string): Constraint {
  const reader = { text, at: 0 };
  skipSpace(reader);
  if (reader.at === text.length) return { kind: 'and', all: [] };
  const constraint = parseOne(reader);
  skipSpace(reader);
  if (reader.at !== text.length) throw wrong(reader);
  return constraint;
}

export function satisfies(properties: Record<string, unknown>, constraint: Constraint): boolean {
  switch (constraint.kind) {
    case 'and':
      return constraint.all.every((one) => satisfies(properties, one));
    case 'or':
      return constraint.all.some((one) => satisfies(properties, one));
    case 'not':
      return !satisfies(properties, constraint.one);
    case 'compare': {
      const found = properties[constraint.property];
      if (found === undefined || found === null) return false;
      const values: unknown[] = Array.isArray(found) ? found : [found];
      return values.some((value) => compares(value, constraint.operator, constraint.value));
    }
  }
}

interface Reader {
  text: string;
  at: number;
}

const wrong = ({ text, at }: Reader) =>
  new ConstraintSyntaxError(`constraint not understood at ${at}: ${text.slice(at, at + 40)}`);

function skipSpace(reader: Reader): void {
  while (/\s/.test(reader.text[reader.at] ?? '')) reader.at++;
}

function expect(reader: Reader, character: string): void {
  if (reader.text[reader.at] !== character) throw wrong(reader);
  reader.at++;
}

function parseOne(reader: Reader): Constraint {
  expect(reader, '(');
  skipSpace(reader);
  const constraint = parseInner(reader);
  skipSpace(reader);
  expect(reader, ')');
  return constraint;
}

function parseInner(reader: Reader): Constraint {
  const sign = reader.text[reader.at];
  if (sign !== '&' && sign !== '|' && sign !== '!') return parseComparison(reader);
  reader.at++;
  const all: Constraint[] = [];
  skipSpace(reader);
  while (reader.text[reader.at] === '(') {
    all.push(parseOne(reader));
    skipSpace(reader);
  }
  if (sign !== '!') return { kind: sign === '&' ? 'and' : 'or', all };
  const [one, ...more] = all;
  if (one === undefined || more.length > 0) throw wrong(reader);
  return { kind: 'not', one };
}

function parseComparison(reader: Reader): Constraint {
  const found = /^([^()<>=]+?)\s*(<=|>=|=|<|>)((?:\\[()\\*]|[^()\\])*)/.exec(reader.text.slice(reader.at));
  if (found === null) throw wrong(reader);
  reader.at += found[0].length;
  const [, property = '', operator = '=', value = ''] = found;
  return {
    kind: 'compare',
    property,
    operator: operator as '=' | '<' | '<=' | '>' | '>=',
    value: value.trim(),
  };
}

function compares(value: unknown, operator: string, wanted: string): boolean {
  if (operator === '=') return equals(value, wanted);
  const order = compare(value, wanted);
  if (order === null) return false;
  if (operator === '<') return order < 0;
  if (operator === '<=') return order <= 0;
  return operator === '>' ? order > 0 : order >= 0;
}

function equals(value: unknown, wanted: string): boolean {
  if (wanted === '*') return true;
  if (typeof value === 'number') return wanted !== '' && value === Number(wanted);
  if (typeof value === 'boolean') return String(value) === wanted.toLowerCase();
  if (typeof value !== 'string') return false;
  const pattern = wanted.replace(/\\([()\\*])|[*]|[^\\*]+/g, (part, escaped: string | undefined) => {
    if (escaped !== undefined) return literally(escaped);
    return part === '*' ? '.*' : literally(part);
  });
  return new RegExp(`^${pattern}$`, 's').test(value);
}

const literally = (text: string) => text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');

/** Numbers by value, versions by their parts, other text by its characters; null when they cannot be compared. */
function compare(value: unknown, wanted: string): number | null {
  if (typeof value === 'number') {
    const number = Number(wanted);
    return wanted === '' || Number.isNaN(number) ? null : Math.sign(value - number);
  }
  if (typeof value !== 'string') return null;
  const numbers = [value, wanted].map(Number);
  if (value !== '' && wanted !== '' && numbers.every(Number.isFinite))
    return Math.sign(numbers[0]! - numbers[1]!);
  if (/^\d+(\.\d+)+$/.test(value) && /^\d+(\.\d+)*$/.test(wanted)) return compareVersions(value, wanted);
  return value < wanted ? -1 : Number(value > wanted);
}

function compareVersions(left: string, right: string): number {
  const [a, b] = [left, right].map((text) => text.split('.').map(Number)) as [number[], number[]];
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const order = Math.sign((a[i] ?? 0) - (b[i] ?? 0));
    if (order !== 0) return order;
  }
  return 0;
}
