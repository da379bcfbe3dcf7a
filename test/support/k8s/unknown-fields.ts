/**
 * @file Fields that Kubernetes doesn't know, such as a misspelt one. The schemas let them pass; the compiler doesn't, because an object
 * literal may have no property that its type lacks. Each document becomes one literal.
 */
import { resolve } from 'node:path';
import ts from 'typescript';
import { type Manifest, nameOf } from './manifest.ts';
import { modelModule } from './schema.ts';

const FILE = resolve('test/support/k8s/documents.generated.ts');
const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  types: [],
};

/** @returns what the compiler finds, one line each. Kinds without a model are strict in their schema. */
export function unknownFields(manifests: readonly Manifest[]): string[] {
  const checked = manifests.filter((manifest) => modelModule(manifest) !== undefined);
  const lines = checked.map(
    (manifest, index) =>
      `import type { I${manifest.kind} as T${index} } from '${modelModule(manifest)}'; export const d${index}: T${index} = ${JSON.stringify(manifest)};`,
  );
  const text = lines.join('\n');
  const host = ts.createCompilerHost(OPTIONS);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (path) => path === FILE || fileExists(path);
  host.getSourceFile = (path, language, ...rest) =>
    path === FILE ? ts.createSourceFile(path, text, language) : getSourceFile.call(host, path, language, ...rest);
  const program = ts.createProgram([FILE], OPTIONS, host);
  return ts.getPreEmitDiagnostics(program).map((diagnostic) => {
    const message = ts.flattenDiagnosticMessageText(diagnostic.messageText, ' ');
    if (diagnostic.file === undefined || diagnostic.start === undefined) return message;
    const { line } = diagnostic.file.getLineAndCharacterOfPosition(diagnostic.start);
    const manifest = checked[line];
    return `${manifest === undefined ? '' : nameOf(manifest)}: ${message}`;
  });
}
