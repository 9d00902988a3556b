import { readFileSync } from 'node:fs'
import ts from 'typescript'

export interface Import {
  /** The import as written, such as `../time/schedule.ts` or `kysely`. */
  readonly specifier: string
  /** Erased by the compiler: `import type`, or every name in the braces is a type. */
  readonly isTypeOnly: boolean
}

/** The data of one file that the figures need. */
export interface SourceFile {
  readonly path: string
  readonly lines: number
  /** The number of lines of each function whose body is a block. */
  readonly functions: readonly number[]
  readonly imports: readonly Import[]
  readonly casts: number
  readonly anys: number
  /** Whether the file says why it is long, in a line that begins with `// Long because`. */
  readonly saysWhyLong: boolean
}

export function readSource(path: string): SourceFile {
  const text = readFileSync(path, 'utf8')
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
  const found = { functions: [] as number[], imports: [] as Import[], casts: 0, anys: 0 }
  const visit = (node: ts.Node): void => {
    const body = bodyOf(node)
    if (body) found.functions.push(linesOf(file, node))
    if (ts.isAsExpression(node) && !isConst(node.type)) found.casts += 1
    if (node.kind === ts.SyntaxKind.AnyKeyword) found.anys += 1
    const imported = importOf(node)
    if (imported) found.imports.push(imported)
    ts.forEachChild(node, visit)
  }
  visit(file)
  return { path, lines: text.trimEnd().split('\n').length, ...found, saysWhyLong: /^\/\/ Long because /m.test(text) }
}

function bodyOf(node: ts.Node): ts.Block | undefined {
  const body = ts.isFunctionLike(node) && 'body' in node ? (node.body as ts.Node | undefined) : undefined
  return body && ts.isBlock(body) ? body : undefined
}

function linesOf(file: ts.SourceFile, node: ts.Node): number {
  const lineAt = (position: number): number => file.getLineAndCharacterOfPosition(position).line
  return lineAt(node.getEnd()) - lineAt(node.getStart(file)) + 1
}

function isConst(type: ts.TypeNode): boolean {
  return ts.isTypeReferenceNode(type) && type.getText() === 'const'
}

function importOf(node: ts.Node): Import | undefined {
  if (ts.isImportDeclaration(node)) {
    return { specifier: textOf(node.moduleSpecifier), isTypeOnly: isTypeOnlyClause(node.importClause) }
  }
  if (ts.isExportDeclaration(node) && node.moduleSpecifier) {
    const names = node.exportClause && ts.isNamedExports(node.exportClause) ? node.exportClause.elements : []
    const isTypeOnly = node.isTypeOnly || (names.length > 0 && names.every((name) => name.isTypeOnly))
    return { specifier: textOf(node.moduleSpecifier), isTypeOnly }
  }
  const [argument] =
    ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword ? node.arguments : []
  if (argument && ts.isStringLiteral(argument)) return { specifier: argument.text, isTypeOnly: false }
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
    return { specifier: textOf(node.argument.literal), isTypeOnly: true }
  }
  return undefined
}

function isTypeOnlyClause(clause: ts.ImportClause | undefined): boolean {
  if (!clause) return false
  if (clause.isTypeOnly) return true
  const { name, namedBindings: bindings } = clause
  if (name || !bindings || !ts.isNamedImports(bindings)) return false
  return bindings.elements.length > 0 && bindings.elements.every((element) => element.isTypeOnly)
}

function textOf(node: ts.Node): string {
  return ts.isStringLiteral(node) ? node.text : node.getText()
}
