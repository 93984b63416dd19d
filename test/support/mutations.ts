import { fromBase64, fromUtf8, toBase64, utf8 } from '../../domain/encoding.ts';

/** A whole number below `n`. */
export type Random = (n: number) => number;

/** Somewhere in a bundle, and what can be done there: each call makes another text of the whole bundle. */
export interface Site {
  where: string;
  change: (random: Random) => string;
}

/** Writes what stands in a place into the text around it. */
type Put = (text: string) => string;

/** Mulberry32: small, and the same on every machine. */
export function seeded(seed: number): Random {
  let state = seed;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}

/** Members that hold other documents or bytes, by name. */
const JSON_TEXT = new Set(['receipt', 'summary', 'dsse', 'leaf']);
const BASE64_JSON = new Set(['spec', 'payload']);
const BASE64 = new Set(['sig', 'content', 'rawBytes', 'spki', 'possession']);

/** Every place of a bundle, down into envelopes, statements, leaves, proofs and checkpoints. */
export function sitesOf(value: unknown): Site[] {
  return inJson(value, '', (text) => text);
}

function inJson(value: unknown, where: string, put: Put): Site[] {
  const site = (what: string, change: (random: Random) => string): Site => ({
    where: `${where} ${what}`,
    change: (random) => put(change(random)),
  });
  if (typeof value === 'string') return inText(value, where, put);
  if (typeof value === 'number')
    return [
      site('another number', (random) => String(value + [1, -1, 0.5, 2 ** 31][random(4)]!)),
      site('a number spelled otherwise', (random) => [`${value}.0`, `${value}e0`, `"${value}"`][random(3)]!),
    ];
  if (typeof value === 'boolean') return [site('another truth', () => String(!value))];
  if (value === null) return [site('null', (random) => ['0', '""', '{}', 'false'][random(4)]!)];
  if (Array.isArray(value)) {
    const items = value.map((item) => JSON.stringify(item));
    const list = (texts: readonly string[]) => `[${texts.join(',')}]`;
    return [
      site('one item more', (random) => list([...items, items[random(items.length)] ?? '{}'])),
      ...(items.length === 0 ? [] : [site('one item less', () => list(items.slice(1)))]),
      ...value.flatMap((item, i) => inJson(item, `${where}[${i}]`, (text) => put(list(items.with(i, text))))),
    ];
  }
  return inObject(value as Record<string, unknown>, where, put);
}

function inObject(value: Record<string, unknown>, where: string, put: Put): Site[] {
  const names = Object.keys(value);
  const member = (name: string, text = JSON.stringify(value[name])) => `${JSON.stringify(name)}:${text}`;
  const object = (texts: readonly string[]) => put(`{${texts.join(',')}}`);
  const members = names.map((name) => member(name));
  const anyPlace = (random: Random, text: string) => members.toSpliced(random(members.length + 1), 0, text);
  return [
    {
      where: `${where} an unknown key`,
      change: (random) =>
        object(anyPlace(random, `"x${random(1e6)}":${['1', '"a"', 'null', '{}'][random(4)]}`)),
    },
    {
      where: `${where} __proto__`,
      change: (random) => object(anyPlace(random, '"__proto__":{"admin":true}')),
    },
    ...names.flatMap((name, i): Site[] => [
      { where: `${where}.${name} twice`, change: (random) => object(anyPlace(random, members[i]!)) },
      {
        where: `${where}.${name} twice, once otherwise`,
        change: (random) => object(anyPlace(random, member(name, ['null', '""', '7'][random(3)]))),
      },
      ...inJson(value[name], `${where}.${name}`, (text) => object(members.with(i, member(name, text)))),
    ]),
  ];
}

function inText(value: string, where: string, put: Put): Site[] {
  const name = /(\w+)$/.exec(where)?.[1] ?? '';
  const string: Put = (text) => put(JSON.stringify(text));
  const own: Site = { where: `${where} a character`, change: (random) => string(turned(value, random)) };
  if (name === 'tlog_proof') return [own, ...inProof(value, where, string)];
  if (JSON_TEXT.has(name)) return [own, ...inJson(JSON.parse(value), where, string)];
  const bytes = fromBase64(value);
  if (bytes !== undefined && BASE64_JSON.has(name)) {
    const inside = inJson(JSON.parse(fromUtf8(bytes)!), where, (text) => string(toBase64(utf8(text))));
    return [...inBase64(value, where, string), ...inside];
  }
  const isBytes = BASE64.has(name) || (name === 'digest' && bytes?.length === 32);
  return isBytes ? [own, ...inBase64(value, where, string)] : [own];
}

/** Another value, or the same in a form that is not the canonical one. */
function inBase64(value: string, where: string, put: Put): Site[] {
  const bytes = fromBase64(value)!;
  const flipped = (random: Random) => {
    const other = Uint8Array.from(bytes);
    const at = random(other.length);
    other[at] = other[at]! ^ (1 << random(8));
    return toBase64(other);
  };
  return [
    { where: `${where} a bit`, change: (random) => put(flipped(random)) },
    { where: `${where} a byte less`, change: () => put(toBase64(bytes.slice(0, -1))) },
    {
      where: `${where} a byte more`,
      change: (random) => put(toBase64(Uint8Array.of(...bytes, random(256)))),
    },
    { where: `${where} base64 in another form`, change: (random) => put(otherForm(value, random)) },
  ];
}

function otherForm(value: string, random: Random): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  const cut = random(value.length);
  const forms = [
    `${value}\n`,
    ` ${value}`,
    `${value.slice(0, cut)}\r\n${value.slice(cut)}`,
    `${value}====`,
    `${value}A`,
  ];
  const padding = value.endsWith('==') ? 2 : value.endsWith('=') ? 1 : 0;
  if (padding > 0) {
    const last = value.length - padding - 1;
    const bits = alphabet[alphabet.indexOf(value[last]!) | 1]!;
    forms.push(value.slice(0, -padding), value.slice(0, last) + bits + value.slice(last + 1));
  }
  if (/[+/]/.test(value)) forms.push(value.replaceAll('+', '-').replaceAll('/', '_'));
  return forms[random(forms.length)]!;
}

/** The lines of a tlog-proof, and of the checkpoint at its end. */
function inProof(value: string, where: string, put: Put): Site[] {
  const lines = value.split('\n');
  const text: Put = (changed) => put(changed);
  const withLine = (i: number, ...by: string[]) => text(lines.toSpliced(i, 1, ...by).join('\n'));
  const blank = lines.indexOf('');
  const hashes = lines.map((_line, i) => i).slice(2, blank);
  const root = blank + 3;
  const signatures = lines.map((_line, i) => i).filter((i) => lines[i]!.startsWith('— '));
  return [
    { where: `${where} another header`, change: (random) => withLine(0, turned(lines[0]!, random)) },
    {
      where: `${where} something extra`,
      change: (random) => withLine(0, lines[0]!, `extra ${toBase64(Uint8Array.of(random(256)))}`),
    },
    ...[1, blank + 2].map((i): Site => {
      const number = Number(/\d+/.exec(lines[i]!)![0]);
      const spelled = (by: string | number) => lines[i]!.replace(/\d+/, String(by));
      return {
        where: `${where} a number of line ${i}`,
        change: (random) =>
          withLine(
            i,
            spelled(
              [number + 1 + random(9), -1, `0${number}`, `+${number}`, `${number}.0`, 2 ** 53][random(6)]!,
            ),
          ),
      };
    }),
    {
      where: `${where} another origin`,
      change: (random) => withLine(blank + 1, turned(lines[blank + 1]!, random)),
    },
    { where: `${where} a line more in the checkpoint`, change: () => withLine(root, lines[root]!, 'more') },
    ...[...hashes, root].flatMap((i) => inBase64(lines[i]!, `${where} line ${i}`, (by) => withLine(i, by))),
    ...hashes.flatMap((i): Site[] => [
      { where: `${where} without line ${i}`, change: () => withLine(i) },
      { where: `${where} line ${i} twice`, change: () => withLine(i, lines[i]!, lines[i]!) },
    ]),
    ...signatures.flatMap((i): Site[] => {
      const [, name, encoded] = lines[i]!.split(' ') as [string, string, string];
      const [changed] = inBase64(encoded, '', (by) => `— ${name} ${by}`);
      return [
        {
          where: `${where} signer of line ${i}`,
          change: (random) => withLine(i, `— ${turned(name, random)} ${encoded}`),
        },
        {
          where: `${where} a second, other signature of line ${i}`,
          change: (random) =>
            withLine(
              i,
              lines[i]!,
              `— ${name} ${encoded.slice(0, 8)}${turned(encoded.slice(8, 80), random)}${encoded.slice(80)}`,
            ),
        },
        {
          where: `${where} signature of line ${i}`,
          change: (random) => withLine(i, changed!.change(random)),
        },
        ...inBase64(encoded, `${where} line ${i}`, (by) => withLine(i, `— ${name} ${by}`)),
      ];
    }),
    { where: `${where} no end of line`, change: () => text(value.slice(0, -1)) },
    { where: `${where} lines of another system`, change: () => text(value.replaceAll('\n', '\r\n')) },
  ];
}

function turned(value: string, random: Random): string {
  if (value === '') return 'x';
  const at = random(value.length);
  const by = 'Aa0z~_'[random(6)]!;
  return `${value.slice(0, at)}${value[at] === by ? 'B' : by}${value.slice(at + 1)}`;
}
