import { dirname, join, relative } from 'node:path'
import { circlesOf, type ImportGraph } from './circles.ts'
import type { SourceFile } from './source-file.ts'

/** Rooms by tier, lowest first: names of folders or files directly in the source folder. */
export type Tiers = readonly (readonly string[])[]

export interface Spread {
  readonly median: number
  readonly p90: number
  readonly max: number
}

/** The state of the house: counts, and the names for each count that should be zero. */
export interface Figures {
  readonly files: number
  readonly lines: number
  readonly fileLines: Spread
  readonly functions: number
  readonly functionLines: Spread
  /** The number of source files directly in each folder, largest first. */
  readonly folders: readonly { readonly folder: string; readonly files: number }[]
  readonly runtimeCircles: readonly string[][]
  readonly circlesWithTypes: readonly string[][]
  readonly upwardImports: readonly string[]
  /** Files without a tier. A new room must be given one. */
  readonly homeless: readonly string[]
  readonly longFiles: readonly string[]
  readonly casts: number
  readonly anys: number
}

const MAX_LINES = 350
const MAX_FILES_A_FOLDER = 25

/** @param root the source folder; paths of `files` begin with it */
export function figuresOf(files: readonly SourceFile[], root: string, tiers: Tiers): Figures {
  const functionLines = files.flatMap((file) => file.functions)
  const tierOf = (path: string): number => tiers.findIndex((rooms) => rooms.includes(roomOf(path, root)))
  return {
    files: files.length,
    lines: files.reduce((sum, file) => sum + file.lines, 0),
    fileLines: spreadOf(files.map((file) => file.lines)),
    functions: functionLines.length,
    functionLines: spreadOf(functionLines),
    folders: foldersOf(files),
    runtimeCircles: circlesOf(graphOf(files, false)),
    circlesWithTypes: circlesOf(graphOf(files, true)),
    upwardImports: files.flatMap((file) => upwardOf(file, root, tierOf)),
    homeless: files.map((file) => file.path).filter((path) => tierOf(path) < 0),
    longFiles: files
      .filter((file) => file.lines > MAX_LINES && !file.saysWhyLong)
      .map(({ path, lines }) => `${path} (${lines})`),
    casts: files.reduce((sum, file) => sum + file.casts, 0),
    anys: files.reduce((sum, file) => sum + file.anys, 0),
  }
}

/** A service and its observers: the only concept whose files refer to each other's types. */
const ONE_CONCEPT = ['src/service/observer.ts', 'src/service/service.ts', 'src/service/tree-log.ts']

/** What the checks refuse, one line each. Empty if the house is in order. */
export function violationsOf(figures: Figures): string[] {
  const crowded = figures.folders.filter(({ files }) => files > MAX_FILES_A_FOLDER)
  return [
    ...figures.circlesWithTypes.filter(isForbidden).map((circle) => `import cycle: ${circle.join(' → ')}`),
    ...figures.upwardImports.map((line) => `upward import: ${line}`),
    ...figures.homeless.map((path) => `no tier: ${path}; add its room to scripts/house/tiers.json`),
    ...crowded.map(
      ({ folder, files }) => `crowded folder: ${folder} has ${files} files; at most ${MAX_FILES_A_FOLDER}`,
    ),
    ...figures.longFiles.map((file) => `long file: ${file}; split it, or add a line "// Long because …"`),
  ]
}

function isForbidden(circle: readonly string[]): boolean {
  return !circle.every((file) => ONE_CONCEPT.includes(file))
}

function roomOf(path: string, root: string): string {
  return relative(root, path).split('/')[0] ?? path
}

function importsOf(file: SourceFile, withTypes: boolean): string[] {
  return file.imports
    .filter((one) => one.specifier.startsWith('.') && (withTypes || !one.isTypeOnly))
    .map((one) => join(dirname(file.path), one.specifier))
}

function graphOf(files: readonly SourceFile[], withTypes: boolean): ImportGraph {
  return new Map(files.map((file) => [file.path, importsOf(file, withTypes)]))
}

function upwardOf(file: SourceFile, root: string, tierOf: (path: string) => number): string[] {
  const own = roomOf(file.path, root)
  return importsOf(file, true)
    .filter((target) => roomOf(target, root) !== own && tierOf(target) >= tierOf(file.path))
    .map((target) => `${file.path} → ${target}`)
}

function foldersOf(files: readonly SourceFile[]): { folder: string; files: number }[] {
  const byFolder = Map.groupBy(files, (file) => dirname(file.path))
  return [...byFolder]
    .map(([folder, inside]) => ({ folder, files: inside.length }))
    .sort((a, b) => b.files - a.files || a.folder.localeCompare(b.folder))
}

function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
  return { median: at(0.5), p90: at(0.9), max: at(1) }
}
