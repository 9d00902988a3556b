import { gzipSync, zstdCompressSync } from 'node:zlib'
import type * as HyparquetWriter from 'hyparquet-writer'
import type { SchemaElement } from 'hyparquet-writer'
import { isObject } from '../../errors-read.ts'
import { expecting, oneOf, type OptionChecks, wholeNumber } from '../../options.ts'
import { optionalPackage } from '../../optional-package.ts'
import type { RowModel, RowOf } from '../../sink/sink.ts'
import { type ColumnKind, modelColumns } from '../../sink/sql/model-columns.ts'
import { FILE_CHECKS, fileSink, type FileSinkClass, type FileSinkOptions } from './file-sink.ts'
import type { ParquetColumn } from './parquet-value.ts'
import { ParquetEncoder } from './parquet-encoder.ts'

/** The types of columns: `text`, `integer` (64 bits), `double`, `boolean`, `instant` (milliseconds in UTC), `json`, `bytes`. */
export type ParquetType = ColumnKind['is']

export interface ParquetOptions<M extends RowModel> extends Omit<FileSinkOptions<M>, 'compress'> {
  /**
   * The types of columns that the schema does not show, such as `{ id: 'integer', raw: 'bytes' }`. If the model is a class, the types of
   * all columns.
   */
  readonly types?: Readonly<Partial<Record<keyof RowOf<M> & string, ParquetType>>>
  /** The compression of the pages within the file. Default `snappy`. */
  readonly codec?: 'none' | 'snappy' | 'gzip' | 'zstd'
  /** Rows per row group, at most 1,000,000. One row group is in memory at a time. Default 10,000. */
  readonly rowGroupRows?: number
  /** The approximate size of a row group in memory, in bytes. Default 16,000,000. */
  readonly rowGroupBytes?: number
}

const DEFAULT_GROUP_ROWS = 10_000
const DEFAULT_GROUP_BYTES = 16_000_000
const TYPES = [
  'text',
  'integer',
  'double',
  'boolean',
  'instant',
  'json',
  'bytes',
] as const satisfies readonly ParquetType[]
const isType = oneOf(...TYPES)

const { compress: _, ...FILE } = FILE_CHECKS
const CHECKS: OptionChecks<ParquetOptions<RowModel>> = {
  ...FILE,
  types: expecting(
    `types by property, each one of ${TYPES.join(', ')}`,
    (value) => isObject(value) && Object.values(value).every((type) => isType(type) === undefined),
  ),
  codec: oneOf('none', 'snappy', 'gzip', 'zstd'),
  rowGroupRows: wholeNumber(1, 1_000_000),
  rowGroupBytes: wholeNumber(1),
}

/**
 * A sink class that writes Parquet files, one for each window, with the package `hyparquet-writer`. A run that succeeds replaces the whole
 * file of its window. A run that fails leaves the file unchanged.
 *
 * The columns are the properties of the schema. Objects and arrays become JSON, `Date` a timestamp in milliseconds.
 *
 * @throws PikoError `SINK_FAILED` naming every wrong option. Without the package, the first run fails with `PACKAGE_MISSING`
 * @example
 * const OrderFiles = parquet({ model: Order, path: 'out/{job}/{window}.parquet', codec: 'zstd' })
 */
export function parquet<M extends RowModel>(options: ParquetOptions<M>): FileSinkClass<M> {
  return fileSink<M, ParquetOptions<M>>(options, {
    name: 'parquet',
    checks: CHECKS as OptionChecks<ParquetOptions<M>>,
    problems: ({ path, model, types = {} }) => [
      ...(/\.(?:gz|zst)$/.test(path)
        ? ['path ends as a compressed file; expected .parquet, and codec for the compression']
        : []),
      ...columnProblems(model, types),
    ],
    format: (given) => {
      const { codec = 'snappy', rowGroupRows = DEFAULT_GROUP_ROWS, rowGroupBytes = DEFAULT_GROUP_BYTES } = given
      const columns = columnsOf(given.model, given.types ?? {})
      let library: typeof HyparquetWriter | undefined
      return {
        load: async () => {
          library ??= await optionalPackage('hyparquet-writer', 'a Parquet file', () => import('hyparquet-writer'))
        },
        begin: (file, place) => {
          if (!library) throw new TypeError('the Parquet library was not loaded')
          const writer = new library.ByteWriter()
          const parquetWriter = new library.ParquetWriter({
            writer,
            schema: schemaOf(columns),
            codec: CODECS[codec],
            compressors: { GZIP: (bytes) => gzipSync(bytes), ZSTD: (bytes) => zstdCompressSync(bytes) },
            createdBy: 'piko',
          })
          return new ParquetEncoder({ file, place, columns, writer, parquetWriter, rowGroupRows, rowGroupBytes })
        },
      }
    },
  })
}

const CODECS = { none: 'UNCOMPRESSED', snappy: 'SNAPPY', gzip: 'GZIP', zstd: 'ZSTD' } as const

function columnsOf(model: RowModel, types: Readonly<Record<string, ParquetType | undefined>>): ParquetColumn[] {
  const ofModel = modelColumns(model) ?? []
  const others = Object.keys(types).filter((name) => !ofModel.some(({ property }) => property === name))
  return [
    ...ofModel.map(({ property, kind, isNullable }) => ({
      name: property,
      type: types[property] ?? typeOf(kind),
      isNullable,
    })),
    ...others.map((name) => ({ name, type: types[name], isNullable: true })),
  ].flatMap(({ type, ...column }) => (type === undefined ? [] : [{ ...column, type }]))
}

function typeOf(kind: ColumnKind | undefined): ParquetColumn['type'] | undefined {
  return kind?.is === 'integer' && kind.bits === 32 ? 'int32' : kind?.is
}

function columnProblems(model: RowModel, types: Readonly<Record<string, unknown>>): string[] {
  const ofModel = modelColumns(model)
  if (!ofModel)
    return Object.keys(types).length > 0 ? [] : ['types is missing, and the model does not reveal its properties']
  const untyped = ofModel.filter(({ property, kind }) => kind === undefined && types[property] === undefined)
  const strange = Object.keys(types).filter((name) => !ofModel.some(({ property }) => property === name))
  return [
    ...untyped.map(
      ({ property }) => `the type of ${property} is unknown; expected it in types: { ${property}: 'text' }`,
    ),
    ...strange.map((name) => `types has ${name}, which is not a property of the model`),
  ]
}

function schemaOf(columns: readonly ParquetColumn[]): SchemaElement[] {
  return [{ name: 'root', num_children: columns.length }, ...columns.map(elementOf)]
}

function elementOf({ name, type, isNullable }: ParquetColumn): SchemaElement {
  const base = { name, repetition_type: isNullable ? 'OPTIONAL' : 'REQUIRED' } as const
  switch (type) {
    case 'text':
      return { ...base, type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } }
    case 'int32':
      return { ...base, type: 'INT32' }
    case 'integer':
      return { ...base, type: 'INT64' }
    case 'double':
      return { ...base, type: 'DOUBLE' }
    case 'boolean':
      return { ...base, type: 'BOOLEAN' }
    case 'instant':
      return {
        ...{ ...base, type: 'INT64', converted_type: 'TIMESTAMP_MILLIS' },
        logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MILLIS' },
      }
    case 'json':
      // There is no converted type here; with one, the library would encode the bytes a second time.
      return { ...base, type: 'BYTE_ARRAY', logical_type: { type: 'JSON' } }
    case 'bytes':
      return { ...base, type: 'BYTE_ARRAY' }
  }
}
