import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type BuildOptions, type Plugin } from 'esbuild'

export const ROOT = fileURLToPath(new URL('..', import.meta.url))
const SOURCE = join(ROOT, 'src')
/** Where the package is built. */
export const OUT = join(ROOT, 'dist')

/** Modules that Node starts from their own files. They keep their paths in the build; all other files are at the top of the folder. */
const THREADS = [
  'crawl/sandbox/sandbox-thread',
  'guard-thread-main',
  'http/svg-thread',
  'service/watchdog/watchdog-thread',
  'store/connection/sqlite/checkpoint-guard',
  'store/connection/sqlite/checkpoint-thread',
  'store/nodes/heartbeat-thread',
]
/** The thread that loads users' modules. These import the package too, and must get the same classes. */
const USERS_THREAD = 'offload/thread/worker'

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly 'piko-source': string; readonly default: string }>>
  readonly bin: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
}

const libraries = ({ dependencies, peerDependencies }: Manifest): string[] =>
  Object.keys({ ...dependencies, ...peerDependencies })

/** The source of each file of the build, by its name without extension. */
function entriesOf({ exports, bin }: Manifest): Record<string, string> {
  const name = (file: string): string => relative('dist', file).replace(/\.js$/, '')
  const entries: Record<string, string> = { [name(bin['piko'] ?? '')]: join(SOURCE, 'cli/bin.ts') }
  for (const files of Object.values(exports))
    if (typeof files !== 'string') entries[name(files.default)] = join(ROOT, files['piko-source'])
  entries[USERS_THREAD] = join(SOURCE, `${USERS_THREAD}.ts`)
  return entries
}

/**
 * A module finds other files of the package by its own path in the tree. So this keeps that path, although the module becomes part of
 * another file.
 */
const ownPlaces: Plugin = {
  name: 'own-places',
  setup(on) {
    on.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8')
      const place = relative(SOURCE, path).replaceAll('\\', '/').replace(/\.ts$/, '.js')
      const contents = text.replaceAll(/\bimport\.meta\.url\b/g, `new URL('./${place}', import.meta.url).href`)
      return { contents, loader: 'ts' }
    })
  },
}

/**
 * Libraries of many small files that every command loads, which are included. Kysely alone has 250 files, which take longer to load than
 * most commands work. They remain dependencies, because the declarations name their types.
 */
const INCLUDED = ['commander', 'kysely', 'smol-toml']

/** The licences of the included libraries, which must accompany their code. */
function licences(): string {
  const texts = INCLUDED.map((name) => {
    const text = readFileSync(join(ROOT, 'node_modules', name, 'LICENSE'), 'utf8')
    return `The files of this folder contain ${name}, under this licence:\n\n${text.trim()}\n`
  })
  return texts.join(`\n${'-'.repeat(80)}\n\n`)
}

/** If a class refers to itself, esbuild gives it a second name, which users would see. This restores the first one. */
function withClassNames(text: string): string {
  let named = text
  for (const [, name = ''] of text.matchAll(/^var (\w+) = class _\1\b/gm))
    named = named.replaceAll(new RegExp(`\\b_${name}\\b`, 'g'), name)
  return named
}

/**
 * Bundles the JavaScript of the package, which loads twice as fast from a few large files as from hundreds of small ones. Each subpath and the
 * command is an entry; what they share is in chunks. A thread of our own shares nothing, so it is one file: each further entry would
 * divide the chunks further. Of the libraries, only those of {@link INCLUDED} are included.
 */
export async function bundle(): Promise<void> {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest
  const common = {
    outdir: OUT,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node22',
    external: libraries(manifest).filter((name) => !INCLUDED.includes(name)),
    conditions: ['piko-source'],
    sourcemap: 'linked',
    sourcesContent: false,
    plugins: [ownPlaces],
    logLevel: 'warning',
    write: false,
  } satisfies BuildOptions
  const threads = Object.fromEntries(THREADS.map((thread) => [thread, join(SOURCE, `${thread}.ts`)]))
  const built = await Promise.all([
    build({ ...common, entryPoints: entriesOf(manifest), splitting: true, chunkNames: '[name]-[hash]' }),
    build({ ...common, entryPoints: threads }),
  ])
  mkdirSync(OUT, { recursive: true })
  writeFileSync(join(OUT, 'LICENSES.txt'), licences())
  for (const { path, text } of built.flatMap(({ outputFiles }) => outputFiles)) {
    mkdirSync(dirname(path), { recursive: true })
    const code = withClassNames(text)
    // A process of a running test may be loading this file.
    if (!existsSync(path) || readFileSync(path, 'utf8') !== code) writeFileSync(path, code)
  }
  // npm does this when it installs; a link to this folder is started as it is.
  chmodSync(join(OUT, 'bin.js'), 0o755)
}
