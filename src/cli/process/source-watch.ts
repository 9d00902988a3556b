import { type FSWatcher, readdirSync, watch } from 'node:fs'
import { join, relative } from 'node:path'
import { safely } from '../../errors-read.ts'

const SOURCE = /\.(?:[cm]?[jt]sx?|toml|sql)$|^(?:package|tsconfig)\.json$/
const IGNORED = /^(?:\..*|node_modules|dist|build|coverage|vendor)$/
/** The maximum number of folders to watch. A tree with more folders is probably a whole disk and not a project. */
const MAX_FOLDERS = 2_000
/** How long to wait for further changes, because editors write a file in several steps. */
const SETTLE_MS = 150

/**
 * Watches the code of a project: TypeScript, JavaScript, SQL and TOML files, `package.json` and `tsconfig.json`. Ignores hidden files,
 * `node_modules`, `dist`, `build`, `coverage` and `vendor`.
 */
export class SourceWatch {
  readonly #root: string
  readonly #watchers = new Map<string, FSWatcher>()
  readonly #onChange: (file: string) => void
  #settling: NodeJS.Timeout | undefined

  /** @param onChange called once for changes that follow each other closely, with the path of the first file relative to `root` */
  constructor(root: string, onChange: (file: string) => void) {
    this.#root = root
    this.#onChange = onChange
    this.#add(root)
  }

  close(): void {
    clearTimeout(this.#settling)
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
  }

  #add(folder: string): void {
    if (this.#watchers.has(folder) || this.#watchers.size >= MAX_FOLDERS) return
    const watcher = safely(() => watch(folder, (_event, name) => this.#changed(folder, name)), undefined)
    if (!watcher) return // The folder was deleted or can't be watched.
    this.#watchers.set(
      folder,
      watcher.on('error', () => this.#drop(folder)),
    )
    for (const entry of safely(() => readdirSync(folder, { withFileTypes: true }), []))
      if (entry.isDirectory() && !IGNORED.test(entry.name)) this.#add(join(folder, entry.name))
  }

  #drop(folder: string): void {
    this.#watchers.get(folder)?.close()
    this.#watchers.delete(folder)
  }

  #changed(folder: string, name: string | null): void {
    if (name === null || IGNORED.test(name)) return
    const path = join(folder, name)
    if (!SOURCE.test(name)) {
      // The changed path may be a new folder that already contains files.
      const count = this.#watchers.size
      if (isFolder(path)) this.#add(path)
      if (this.#watchers.size === count) return
    }
    this.#settling ??= setTimeout(() => {
      this.#settling = undefined
      this.#onChange(relative(this.#root, path))
    }, SETTLE_MS)
  }
}

const isFolder = (path: string): boolean => safely(() => readdirSync(path) !== undefined, false)
