import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pack, type Headers } from 'tar-stream';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { unpackResult } from './outputs.ts';

async function unpacked(entries: [Partial<Headers> & { name: string }, string?][]) {
  await using folder = await temporaryFolder();
  const tar = pack();
  for (const [header, content = ''] of entries) tar.entry(header, content);
  tar.finalize();
  const file = path.join(folder.path, 'result.tar');
  await writeFile(file, await buffer(tar));
  const { exitCode, cut } = await unpackResult(file, folder.path);
  return { exitCode, cut };
}

it.each<[string, Partial<Headers> & { name: string }, string]>([
  ['a link', { name: 'out/a', type: 'symlink', linkname: '/etc/passwd' }, 'file_link_refused'],
  ['a hard link', { name: 'out/a', type: 'link', linkname: 'exit' }, 'file_link_refused'],
  ['a device', { name: 'out/a', type: 'character-device' }, 'file_special_refused'],
  ['a name that leads outside', { name: 'out/../../a' }, 'file_name_refused'],
  ['an absolute name', { name: '/out/a' }, 'file_name_refused'],
  ['a name beside the output', { name: 'other' }, 'file_name_refused'],
  ['an exit code that is a link', { name: 'exit', type: 'symlink', linkname: 'x' }, 'file_link_refused'],
])('refuses %s', async (_, header, code) => {
  await expect(unpacked([[header]])).rejects.toMatchObject({ failure: { code } });
});

it('refuses the same name twice and more than it takes', async () => {
  await expect(unpacked([[{ name: 'out/a' }], [{ name: 'out/a' }]])).rejects.toThrow();
  const many = Array.from({ length: 4_100 }, (): [{ name: string }] => [{ name: 'exit' }]);
  await expect(unpacked(many)).rejects.toMatchObject({ failure: { code: 'files_too_many' } });
});

it('takes an exit code only where it is one, and says when a stream was cut', async () => {
  expect(await unpacked([[{ name: 'exit' }, '3\n']])).toEqual({ exitCode: 3, cut: null });
  expect(await unpacked([[{ name: 'exit' }, 'zero']])).toEqual({ exitCode: null, cut: null });
  expect(await unpacked([[{ name: 'stdout' }, 'x'.repeat(1_048_577)]])).toEqual({
    exitCode: null,
    cut: 'stdout',
  });
});
