import path from 'node:path';
import { pathToFileURL } from 'node:url';

const loader = pathToFileURL(path.join(import.meta.dirname, 'typescript-loader.js')).href;

/** The words after `node` that run a TypeScript file of ours in a process of its own. */
export const typescriptWords = (file: string): string[] => ['--enable-source-maps', '--import', loader, file];
