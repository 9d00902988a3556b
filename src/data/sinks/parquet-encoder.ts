import type { ByteWriter, ParquetWriter } from 'hyparquet-writer'
import { rowBytes } from '../../sink/row-bytes.ts'
import type { RowEncoder } from './file-attempt.ts'
import type { FileWriter } from './file-writer.ts'
import { type ParquetColumn, parquetValue } from './parquet-value.ts'

export interface ParquetEncoderOptions {
  readonly file: FileWriter
  /** The path of the file, for messages. */
  readonly place: string
  readonly columns: readonly ParquetColumn[]
  readonly writer: ByteWriter
  readonly parquetWriter: ParquetWriter
  readonly rowGroupRows: number
  readonly rowGroupBytes: number
}

/** Collects rows column by column, and writes them as row groups. Only one row group is in memory at a time. */
export class ParquetEncoder implements RowEncoder<readonly unknown[][]> {
  readonly #options: ParquetEncoderOptions
  #columns: unknown[][]
  #rows = 0
  #bytes = 0

  constructor(options: ParquetEncoderOptions) {
    this.#options = options
    this.#columns = options.columns.map(() => [])
  }

  async encode(rows: readonly object[], from: number): Promise<readonly unknown[][]> {
    const { columns, place } = this.#options
    return rows.map((row, index) =>
      columns.map((column) =>
        parquetValue(
          (row as Record<string, unknown>)[column.name],
          column,
          () => `row ${from + index} for file ${place}`,
        ),
      ),
    )
  }

  async write(rows: readonly unknown[][]): Promise<void> {
    const { rowGroupRows, rowGroupBytes } = this.#options
    for (const row of rows) {
      for (const [index, value] of row.entries()) this.#columns[index]?.push(value)
      this.#rows++
      this.#bytes += rowBytes(row)
      if (this.#rows >= rowGroupRows || this.#bytes >= rowGroupBytes) await this.#writeGroup()
    }
  }

  async end(): Promise<void> {
    if (this.#rows > 0) await this.#writeGroup()
    await this.#options.parquetWriter.finish()
    await this.#flush()
  }

  async #writeGroup(): Promise<void> {
    const { columns, parquetWriter } = this.#options
    const columnData = columns.map(({ name }, index) => ({ name, data: this.#columns[index] ?? [] }))
    const rowGroupSize = this.#rows
    this.#columns = columns.map(() => [])
    this.#rows = 0
    this.#bytes = 0
    await parquetWriter.write({ columnData, rowGroupSize })
    await this.#flush()
  }

  async #flush(): Promise<void> {
    const { file, writer } = this.#options
    // The bytes are copied, because the library reuses the memory for the next bytes.
    await file.write(writer.getBytes().slice())
    writer.index = 0
  }
}
