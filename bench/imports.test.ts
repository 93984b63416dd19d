import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

/** Benches import what was built, where no compiler looks: every name that they take must be there. */
const NAMED_IMPORT = /import \{([^}]*)\} from '((?:\.\.\/)+)dist\/([^']+)\.js'/g;

const imports = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.js'))
  .flatMap((file) =>
    [...readFileSync(path.join(import.meta.dirname, file), 'utf8').matchAll(NAMED_IMPORT)].flatMap(
      ([, names = '', , module = '']) =>
        names
          .split(',')
          .map((name) => name.replace(/\bas\b.*/s, '').trim())
          .filter((name) => name !== '')
          .map((name) => ({ file, module, name })),
    ),
  );

test.each(imports)(
  '$file finds $name in $module',
  async ({ module, name }) => {
    const found = (await import(path.join(import.meta.dirname, '..', `${module}.ts`))) as object;
    expect(Object.keys(found)).toContain(name);
  },
  60_000,
);
