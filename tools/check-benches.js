// Benches take what was built, where no compiler looks: this one looks at them as if they took the sources, for calls that
// the product does not know any more.
// node tools/check-benches.js
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const OF_DIST = /^(?:(?:\.\.\/)+|\/)dist\/(.+)\.js$/;

/** A module, name, member or argument that is not there, or one too many. Wider types than were asked for are not told. */
const TOLD = new Set([
  2305, 2307, 2339, 2353, 2488, 2504, 2551, 2554, 2555, 2561, 2614, 2724, 2739, 2740, 2741,
]);

const options = {
  target: ts.ScriptTarget.ES2023,
  lib: ['lib.es2023.d.ts', 'lib.es2024.string.d.ts', 'lib.dom.d.ts'],
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  types: ['node'],
  typeRoots: [path.join(root, 'node_modules/@types')],
  allowJs: true,
  checkJs: true,
  allowImportingTsExtensions: true,
  noEmit: true,
  skipLibCheck: true,
  strict: true,
  noImplicitAny: false,
  useUnknownInCatchVariables: false,
};

const host = ts.createCompilerHost(options);
host.getCurrentDirectory = () => root;
host.resolveModuleNameLiterals = (literals, file, _redirected, _options, source) =>
  literals.map((literal) => {
    const [, module] = OF_DIST.exec(literal.text) ?? [];
    if (module !== undefined && file.startsWith(path.join(root, 'bench')))
      return { resolvedModule: { resolvedFileName: path.join(root, `${module}.ts`), extension: '.ts' } };
    const mode = ts.getModeForUsageLocation(source, literal, options);
    return ts.resolveModuleName(literal.text, file, options, host, undefined, undefined, mode);
  });

const benches = host.readDirectory(path.join(root, 'bench'), ['.js'], undefined, undefined);
const program = ts.createProgram(benches, options, host);
const found = program
  .getSourceFiles()
  .filter(({ fileName }) => benches.includes(fileName))
  .flatMap((file) => program.getSemanticDiagnostics(file))
  .filter(({ code, messageText }) => isTold({ code, next: messageText.next }));
if (found.length > 0) {
  console.error(ts.formatDiagnostics(found, { ...host, getNewLine: () => '\n' }));
  process.exitCode = 1;
}

function isTold({ code, next = [] }) {
  return TOLD.has(code) || next.some(isTold);
}
