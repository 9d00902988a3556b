import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Compiled {
  /** The compiler's messages about these files. The sources that they import have a check of their own. */
  readonly complaints: readonly string[]
  /** How many types the compiler made for them. */
  readonly instantiations: number
}

/**
 * Checks these files, and nothing that they import, with the options of this repository.
 *
 * @param more options in addition to those of `tsconfig.json`
 */
export function compile(files: readonly string[], more: ts.CompilerOptions = {}): Compiled {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path)) as {
    config: { compilerOptions: object }
  }
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root)
  const program = ts.createProgram(files, { ...options, ...more, noEmit: true })
  const sources = files.map((file) => program.getSourceFile(file))
  const found = [
    ...program.getOptionsDiagnostics(),
    ...sources.flatMap((source) => [
      ...program.getSyntacticDiagnostics(source),
      ...program.getSemanticDiagnostics(source),
    ]),
  ]
  const complaints = found.map(({ file, start = 0, messageText }) => {
    const at = file ? `${file.fileName}:${file.getLineAndCharacterOfPosition(start).line + 1}` : ''
    return `${at}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
  })
  return { complaints, instantiations: program.getInstantiationCount() }
}
