import { messageOf } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'
import type { MigrationFile } from './migration-files.ts'
import type { Direction, MigrationRecord } from './migration-log.ts'

/** The next action: to execute the statements of one migration, except those that an interrupted attempt has already executed. */
export interface Move {
  readonly file: MigrationFile
  readonly direction: Direction
  /** The record of the interrupted attempt; undefined if the migration has not begun. */
  readonly interrupted: MigrationRecord | undefined
}

/**
 * Decides the next move. An interrupted migration is finished first, in the direction in which it began, because no other migration can
 * start from a partial schema. A pure function.
 */
export function nextMove(
  files: readonly MigrationFile[],
  records: readonly MigrationRecord[],
  direction: Direction,
  target: number,
): Move | undefined {
  const recordOf = (file: MigrationFile): MigrationRecord | undefined =>
    records.find((record) => record.version === file.version)
  for (const file of files) {
    const record = recordOf(file)
    if (record && !record.appliedAt) return { file, direction: record.direction, interrupted: record }
  }
  const file =
    direction === 'up'
      ? files.find((candidate) => candidate.version <= target && !recordOf(candidate))
      : files.findLast((candidate) => candidate.version > target && recordOf(candidate))
  return file && { file, direction, interrupted: undefined }
}

/**
 * Returns the target version.
 *
 * @throws PikoError `USAGE` for a version that does not exist
 */
export function targetVersion(
  files: readonly MigrationFile[],
  records: readonly MigrationRecord[],
  direction: Direction,
  to: number | undefined,
): number {
  if (to === undefined) {
    if (direction === 'up') return latestOf(files)
    const current = records.at(-1)?.version ?? 0
    return files.findLast((file) => file.version < current)?.version ?? 0
  }
  if (to === 0 || files.some((file) => file.version === to)) return to
  throw new PikoError(
    'USAGE',
    `there is no migration ${to}; expected 0 (nothing) or one of ${files.map((file) => file.version).join(', ')}`,
    { details: { to } },
  )
}

/** Returns the highest known version, or 0 if there is none. */
export const latestOf = (files: readonly MigrationFile[]): number => files.at(-1)?.version ?? 0

/**
 * Refuses to migrate a schema that a newer version of Piko has changed.
 * @throws PikoError `SCHEMA_NEWER` if this version of Piko does not know a recorded migration
 */
export function refuseUnknown(
  location: string,
  files: readonly MigrationFile[],
  records: readonly MigrationRecord[],
): void {
  const known = new Set(files.map((file) => file.version))
  const unknown = records.filter((record) => !known.has(record.version)).at(-1)
  if (unknown) throw schemaNewer(location, unknown, latestOf(files))
}

export function schemaNewer(
  location: string,
  { version, name }: { version: number; name: string },
  latest: number,
): PikoError {
  return new PikoError(
    'SCHEMA_NEWER',
    `the schema of ${location} is at version ${version} (${name}); this program knows versions up to ${latest}; ` +
      'upgrade the program, or migrate the schema down with the newer program',
    { details: { location, current: version, latest } },
  )
}

export function migrationFailed({ file, direction }: Move, step: number, error: unknown, advice: string): PikoError {
  const statement = file[direction][step] ?? ''
  return new PikoError(
    'MIGRATION_FAILED',
    `migration ${file.name} ${direction}, statement ${step + 1} of ${file[direction].length} failed: ` +
      `${messageOf(error)}; ${advice}; statement: ${statement.split('\n', 1)[0]}`,
    { cause: error, details: { version: file.version, name: file.name, direction, step: step + 1, statement } },
  )
}
