/**
 * Characters that a terminal obeys or that make text look like other text: C0 and C1 controls, DEL, line separators,
 * marks that turn the direction of writing, invisible ones, tags, and lone surrogates. Names come from strangers.
 */
const TREACHEROUS =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]|\p{Surrogate}/gu;

function escape(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, '0')}`;
  return code <= 0xffff ? `\\u${code.toString(16).padStart(4, '0')}` : `\\u{${code.toString(16)}}`;
}

/** `text` as one line that can do nothing but be read. */
export function printable(text: string): string {
  return text.replace(TREACHEROUS, escape);
}

/** A line of a program's output: tabs stay, everything else as in `printable`. */
export function printableLine(text: string): string {
  return text.split('\t').map(printable).join('\t');
}

/** JSON whose text is as harmless as `printable`, and whose value is unchanged. */
export function printableJson(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, null, indent) as string | undefined;
  return (text ?? 'null').replace(TREACHEROUS, (character) =>
    character === '\n'
      ? character
      : Array.from({ length: character.length }, (_, unit) => {
          return `\\u${character.charCodeAt(unit).toString(16).padStart(4, '0')}`;
        }).join(''),
  );
}
