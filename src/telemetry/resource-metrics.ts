import { Counter, Gauge, type Registry } from 'prom-client'

/** The figures of one resource. */
export interface ResourceFigures {
  readonly name: string
  /** The number of slots; `Infinity` if there is no limit. */
  readonly size: number
  readonly borrowed: number
  readonly waiting: number
  readonly renewals: number
  readonly checkFailures: number
  readonly state: 'unopened' | 'open' | 'lost' | 'closed'
}

/** Registers the metrics of each resource. They are read at each scrape. */
export function registerResources(read: () => readonly ResourceFigures[], registers: Registry[]): void {
  const gauge = (name: string, help: string, valueOf: (resource: ResourceFigures) => number): void => {
    new Gauge({
      ...{ name, help, registers },
      labelNames: ['resource'],
      collect() {
        for (const resource of read()) this.set({ resource: resource.name }, valueOf(resource))
      },
    })
  }
  const counter = (name: string, help: string, valueOf: (resource: ResourceFigures) => number): void => {
    new Counter({
      ...{ name, help, registers },
      labelNames: ['resource'],
      collect() {
        this.reset()
        for (const resource of read()) this.inc({ resource: resource.name }, valueOf(resource))
      },
    })
  }
  gauge('piko_resource_size', 'Runs that can borrow the resource at the same time.', ({ size }) => size)
  gauge('piko_resource_borrowed', 'Slots of the resource that runs hold.', ({ borrowed }) => borrowed)
  gauge('piko_resource_waiting', 'Runs waiting for the resource.', ({ waiting }) => waiting)
  gauge('piko_resource_lost', '1 while the resource is not available, otherwise 0.', ({ state }) =>
    state === 'lost' ? 1 : 0,
  )
  counter(
    'piko_resource_renewals_total',
    'Opened instances of the resource that replaced an earlier one.',
    (one) => one.renewals,
  )
  counter('piko_resource_check_failures_total', 'Failed checks of the resource.', (one) => one.checkFailures)
}
