import { readFile } from 'node:fs/promises';
import path from 'node:path';

const PAGE = path.join(import.meta.dirname, '../../docs/verify.md');

/** The code of a section of docs/verify.md, by language, in its order: what is tested is what people read. */
export async function codeOf(section: string): Promise<{ sh: string; js: string }> {
  const page = await readFile(PAGE, 'utf8');
  const [, text] = page.split(`\n## ${section}\n`);
  if (text === undefined) throw new Error(`docs/verify.md has no section "${section}"`);
  const blocks = [...text.split('\n## ')[0]!.matchAll(/^```(\w+)\n(.*?)^```$/gms)];
  const all = (language: string) =>
    blocks.flatMap(([, of, code]) => (of === language ? [code!] : [])).join('\n');
  return { sh: all('sh'), js: all('js') };
}
