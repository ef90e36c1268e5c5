import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { PACKAGE_ROOT } from '../../src/config/version';

const WORKFLOWS = join(PACKAGE_ROOT, 'src', 'workflows');

/**
 * Whatever the procedure of each runbook can say: every text in the code that it reaches, by its wire name. Followed by
 * the compiler from the procedure on, over functions of other files, so a text that another runbook has is none of it.
 * What is filled in stands as `…`.
 */
export function saidByRunbook(areas: string[]): Map<string, Set<string>> {
  const roots = areas.map((area) => join(WORKFLOWS, area, 'index.ts'));
  const program = ts.createProgram(roots, OPTIONS, onlyOurs(ts.createCompilerHost(OPTIONS)));
  const checker = program.getTypeChecker();
  const said = new Map<string, Set<string>>();
  for (const file of program.getSourceFiles())
    if (isOurs(file.fileName))
      forEachProcedure(file, (name, procedure) => said.set(name, textsFrom(procedure, checker)));
  return said;
}

const OPTIONS: ts.CompilerOptions = { noEmit: true, noLib: true, types: [] };

/** Nothing else says anything, and to read all that a workflow is typed by takes long. */
function onlyOurs(host: ts.CompilerHost): ts.CompilerHost {
  host.resolveModuleNameLiterals = (names, from) =>
    names.map(({ text }) => {
      const found = join(dirname(from), text);
      const file = [`${found}.ts`, join(found, 'index.ts')].find((one) => isOurs(one) && existsSync(one));
      const module = file && { resolvedFileName: file, extension: ts.Extension.Ts };
      return { resolvedModule: module || undefined };
    });
  return host;
}

function isOurs(file: string): boolean {
  return file.startsWith(`${WORKFLOWS}/`) && !file.startsWith(`${WORKFLOWS}/kit/`);
}

/** `runbook('name', procedure)`, wherever it stands. */
function forEachProcedure(file: ts.SourceFile, found: (name: string, call: ts.CallExpression) => void): void {
  const look = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && node.expression.getText() === 'runbook') {
      const [name] = node.arguments;
      if (name !== undefined && ts.isStringLiteral(name)) found(name.text, node);
    }
    ts.forEachChild(node, look);
  };
  look(file);
}

function textsFrom(start: ts.Node, checker: ts.TypeChecker): Set<string> {
  const texts = new Set<string>();
  const seen = new Set<ts.Node>();
  const visit = (node: ts.Node): void => {
    if (seen.has(node) || ts.isTypeNode(node)) return;
    seen.add(node);
    if (ts.isStringLiteralLike(node)) texts.add(node.text);
    if (ts.isTemplateExpression(node))
      texts.add(node.head.text + node.templateSpans.map(({ literal }) => `…${literal.text}`).join(''));
    if (ts.isIdentifier(node)) declarationsOf(node, checker).forEach(visit);
    ts.forEachChild(node, visit);
  };
  visit(start);
  return texts;
}

function declarationsOf(node: ts.Identifier, checker: ts.TypeChecker): ts.Declaration[] {
  let symbol = checker.getSymbolAtLocation(node);
  if (symbol !== undefined && symbol.flags & ts.SymbolFlags.Alias) symbol = checker.getAliasedSymbol(symbol);
  return (symbol?.declarations ?? []).filter(
    (one) =>
      isOurs(one.getSourceFile().fileName) &&
      (ts.isFunctionLike(one) || ts.isVariableDeclaration(one) || ts.isPropertyAssignment(one)),
  );
}
