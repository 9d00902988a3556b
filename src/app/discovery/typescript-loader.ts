import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'

let registration: Promise<void> | undefined

/**
 * Lets this process import TypeScript, with the nearest `tsconfig.json` in `cwd` or above it, unless `TSX_TSCONFIG_PATH` names another.
 * Node can also run TypeScript, but it rejects decorators. Does nothing if a loader is already active.
 */
export async function loadTypeScript(cwd: string): Promise<void> {
  if (hasLoader()) return
  registration ??= register(cwd)
  await registration
}

async function register(cwd: string): Promise<void> {
  const [esm, cjs] = await Promise.all([import('tsx/esm/api'), import('tsx/cjs/api')])
  const tsconfig = process.env['TSX_TSCONFIG_PATH'] ?? findTsconfig(cwd)
  if (tsconfig === undefined) {
    cjs.register()
    esm.register()
    return
  }
  // The CommonJS loader reads the path of its tsconfig from the environment when it is registered.
  const before = process.env['TSX_TSCONFIG_PATH']
  process.env['TSX_TSCONFIG_PATH'] = tsconfig
  try {
    cjs.register()
    esm.register({ tsconfig })
  } finally {
    if (before === undefined) delete process.env['TSX_TSCONFIG_PATH']
    else process.env['TSX_TSCONFIG_PATH'] = before
  }
}

const LOADER = /(?:^|[/\\@"'\s])(?:tsx|ts-node|swc-node|oxc-node|esbuild-register|jiti)(?:$|[/\\@"'\s.])/

function hasLoader(): boolean {
  // Vite's module runner, which Vitest also uses, transforms the imports itself.
  if ('env' in import.meta) return true
  const options = [...process.execArgv, ...(process.env['NODE_OPTIONS'] ?? '').split(/\s+/)]
  return options.some((option, index) => {
    const [flag = '', value] = option.split('=', 2)
    return (
      /^(?:-r|--(?:import|require|loader|experimental-loader))$/.test(flag) &&
      LOADER.test(value ?? options[index + 1] ?? '')
    )
  })
}

function findTsconfig(start: string): string | undefined {
  for (let folder = start; ; folder = dirname(folder)) {
    const file = join(folder, 'tsconfig.json')
    if (existsSync(file)) return file
    if (folder === dirname(folder)) return undefined
  }
}
