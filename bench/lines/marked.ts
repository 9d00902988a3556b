import type { RowModel } from 'piko'
import { mark } from '../../src/sink/on.ts'

/** Marks the method of a sink that receives the rows of a model, without a decorator: Node itself runs these files. */
export function marked(sink: { readonly prototype: object }, method: string, model: RowModel): void {
  mark(Object.getOwnPropertyDescriptor(sink.prototype, method)?.value as object, model)
}
