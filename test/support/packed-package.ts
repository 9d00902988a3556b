import { execFile, execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const root = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)

const { peerDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly peerDependencies: Readonly<Record<string, string>>
}

/** The packages that users install only if they need them. */
export const OPTIONAL: readonly string[] = Object.keys(peerDependencies)

/** Links the packages of one folder, including scoped ones, without those in `except`. */
function link(from: string, to: string, except: readonly string[], scope = ''): void {
  mkdirSync(to)
  for (const name of readdirSync(from)) {
    if (except.includes(scope + name)) continue
    if (name.startsWith('@')) link(join(from, name), join(to, name), except, `${name}/`)
    else symlinkSync(join(from, name), join(to, name))
  }
}

/** The packed package, unpacked into an empty folder outside this repository. Only the dependencies come from this repository. */
export class PackedPackage {
  /** Has `node_modules/piko`, and gets the projects. */
  readonly folder: string
  /** The folder of the package. */
  readonly piko: string

  private constructor(folder: string) {
    this.folder = folder
    this.piko = join(folder, 'node_modules/piko')
  }

  static async unpack(): Promise<PackedPackage> {
    if (!existsSync(join(root, 'dist/index.js')))
      throw new Error('dist/ is missing: run "npm run build" first, as "npm test" does')
    const packed = new PackedPackage(mkdtempSync(join(tmpdir(), 'piko-package-')))
    const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', packed.folder]
    const [{ filename }] = JSON.parse((await run('npm', args, { cwd: root })).stdout) as [{ filename: string }]
    mkdirSync(packed.piko, { recursive: true })
    execFileSync('tar', ['-xzf', join(packed.folder, filename), '-C', packed.piko, '--strip-components=1'])
    return packed
  }

  /** Gives the package its dependencies, without the optional ones. */
  linkDependencies(): void {
    link(join(root, 'node_modules'), join(this.piko, 'node_modules'), [...OPTIONAL, '.bin', '.cache', 'piko'])
  }

  /** Gives the projects, and so the package, every library of this repository, as if they had installed them. */
  linkEverything(): void {
    const own = join(root, 'node_modules')
    for (const name of readdirSync(own))
      if (!['.bin', '.cache', '.package-lock.json', 'piko'].includes(name))
        symlinkSync(join(own, name), join(this.folder, 'node_modules', name))
  }

  /** Writes a project below the folder. Returns its path. */
  project(name: string, files: Readonly<Record<string, string>>): string {
    const path = join(this.folder, name)
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(dirname(join(path, file)), { recursive: true })
      writeFileSync(join(path, file), text)
    }
    return path
  }

  /** The complaints of a TypeScript compiler about a project, after it has written its output. `native` is TypeScript 7. */
  async compile(path: string, compiler: 'typescript' | 'typescript-native' = 'typescript'): Promise<string> {
    const tsc = join(root, 'node_modules', compiler, 'bin/tsc')
    const { stdout } = await run(process.execPath, [tsc, '-p', path]).catch(
      (error: unknown) => error as { stdout: string },
    )
    return stdout
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}
