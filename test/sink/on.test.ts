import { compileFunction } from 'node:vm'
import { transformSync as swc } from '@swc/core'
import { transformSync as esbuild } from 'esbuild'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { on } from '../../src/sink/on.ts'
import { routesOf } from '../../src/sink/routes.ts'
import { Sink, type SinkBatch, type SinkClass } from '../../src/sink/sink.ts'

class Order {
  readonly id: number = 1
}
class Item {
  readonly sku: string = 'a'
}
const Refund = z.object({ order: z.number() })

function methodsOf(sinkClass: SinkClass): Record<string, string> {
  return Object.fromEntries(
    [...routesOf(sinkClass).values()].map(({ modelName, method }) => [modelName, String(method)]),
  )
}

const SOURCE = `
  class Orders extends Sink {
    #secret = 'private'
    @on(Order) async orders(rows, batch) { return this.#secret + rows.length }
    @on(Refund) async refunds(rows) {}
  }
  class Shop extends Orders {
    @on(Item) async items(rows) {}
    async orders(rows, batch) { return 'shop ' + (await super.orders(rows, batch)) }
    @on(Refund) async paybacks(rows) {}
  }
  exports.Orders = Orders
  exports.Shop = Shop
`

const swcWith = (transform: object): string =>
  swc(SOURCE, {
    swcrc: false,
    configFile: false,
    jsc: { target: 'es2022', parser: { syntax: 'typescript', decorators: true }, transform },
    module: { type: 'commonjs' },
  }).code
const tscWith = (experimentalDecorators: boolean): string =>
  ts.transpile(SOURCE, { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.CommonJS, experimentalDecorators })
const esbuildWith = (experimentalDecorators: boolean): string =>
  esbuild(SOURCE, {
    loader: 'ts',
    target: 'es2022',
    format: 'cjs',
    tsconfigRaw: { compilerOptions: { experimentalDecorators } },
  }).code

describe('@on', () => {
  it.each([
    ['tsc, TC39', () => tscWith(false)],
    ['tsc, experimentalDecorators', () => tscWith(true)],
    ['esbuild, TC39', () => esbuildWith(false)],
    ['esbuild, experimentalDecorators', () => esbuildWith(true)],
    ['swc, 2022-03', () => swcWith({ decoratorVersion: '2022-03' })],
    ['swc, 2023-11', () => swcWith({ decoratorVersion: '2023-11' })],
    ['swc, legacy', () => swcWith({ legacyDecorator: true })],
  ])('marks the same methods when compiled by %s', async (_name, compile) => {
    const exports = {} as { readonly Orders: SinkClass; readonly Shop: SinkClass }
    const run = compileFunction(compile(), ['exports', 'module', 'Sink', 'on', 'Order', 'Item', 'Refund']) as (
      ...args: unknown[]
    ) => void
    run(exports, { exports }, Sink, on, Order, Item, Refund)
    expect(methodsOf(exports.Orders)).toEqual({ Order: 'orders', refunds: 'refunds' })
    expect(methodsOf(exports.Shop)).toEqual({ Order: 'orders', Item: 'items', paybacks: 'paybacks' })
    const shop = new exports.Shop() as unknown as { orders(rows: unknown[]): Promise<string> }
    expect(await shop.orders([1, 2])).toBe('shop private2')
  })

  it('keeps a subclass’s handlers away from its parent and its sister', () => {
    class Base extends Sink {
      @on(Order) orders(_rows: Order[]): void {}
    }
    class Left extends Base {
      @on(Item) items(_rows: Item[]): void {}
    }
    class Right extends Base {
      @on(Refund) refunds(_rows: z.infer<typeof Refund>[]): void {}
    }
    expect(methodsOf(Left)).toEqual({ Order: 'orders', Item: 'items' })
    expect(methodsOf(Right)).toEqual({ Order: 'orders', refunds: 'refunds' })
    expect(methodsOf(Base)).toEqual({ Order: 'orders' })
  })

  it('drops the parent’s models of a method that a subclass marks again', () => {
    class Base extends Sink {
      @on(Order) rows(_rows: unknown[]): void {}
    }
    class Items extends Base {
      @on(Item) override rows(_rows: unknown[]): void {}
    }
    expect(methodsOf(Items)).toEqual({ Item: 'rows' })
    expect(methodsOf(Base)).toEqual({ Order: 'rows' })
  })

  it('allows several models for one method, and distinguishes their names', () => {
    const Price = z.object({ price: z.number() })
    const Quote = z.object({ bid: z.number() })
    class Market extends Sink {
      @on(Price)
      @on(Quote)
      rows(_rows: (z.infer<typeof Price> | z.infer<typeof Quote>)[]): void {}
      @on(z.object({}).meta({ id: 'Trade' })) trades(): void {}
      @on(z.object({}).meta({ title: 'Split' })) splits(): void {}
    }
    expect(methodsOf(Market)).toEqual({ rows: 'rows', 'rows#2': 'rows', Trade: 'trades', Split: 'splits' })
  })

  it('refuses two methods of one class for one model', () => {
    class Twice extends Sink {
      @on(Order) first(_rows: Order[]): void {}
      @on(Order) second(_rows: Order[]): void {}
    }
    expect(() => routesOf(Twice)).toThrow(
      'sink Twice: the methods first and second are both marked @on(Order); expected one',
    )
  })

  it('refuses a value that is not a model, and a mark that is not on a public instance method', () => {
    expect(() => on('Order' as unknown as typeof Order)).toThrow(
      '@on: its model is "Order"; expected a zod schema or a class',
    )
    expect(() => {
      class Static extends Sink {
        @on(Order) static rows(_rows: Order[]): void {}
      }
      return Static
    }).toThrow('@on: it is on the static method rows; expected a public instance method')
    const legacy = on(Order) as unknown as (...args: unknown[]) => void
    expect(() => legacy(class {}, 'rows', { value: () => {} })).toThrow(
      '@on: it is on rows; expected a public instance method',
    )
    expect(() => legacy({}, 'field', undefined)).toThrow('@on: it is on field')
  })

  it('checks the method’s rows', () => {
    class Checked extends Sink {
      @on(Order) mutable(_rows: Order[], _batch: SinkBatch): void {}
      @on(Refund) async readonly(_rows: readonly { readonly order: number }[]): Promise<number> {
        return 1
      }
      // @ts-expect-error the rows are items
      @on(Item) wrong(_rows: Order[]): void {}
      // @ts-expect-error a batch comes second
      @on(Item) asks(_rows: Item[], _more: string): void {}
    }
    expect(Checked.name).toBe('Checked')
  })
})
