import type { Verifier } from '../../../overlay/identity/identity.js'
import type { World } from '../world/world.js'
import { Clients } from './oracle/clients.js'
import { Disks } from './oracle/disks.js'
import { type KnownToOracle, Notes } from './oracle/notes.js'
import { Owners } from './oracle/owners.js'
import { Reports } from './oracle/reports.js'
import type { Plan } from './plan.js'

/**
 * Watches a simulated grid from outside: what was acknowledged, what clients saw, what owners said; and compares it with
 * what the disks hold and with verdicts of its own. Everything it finds fails the run.
 */
export class Oracle {
  readonly clients: Clients
  readonly reports: Reports
  readonly owners: Owners
  readonly disks: Disks
  readonly #notes: Notes

  constructor(world: World, plan: Plan, verifier: Verifier) {
    this.#notes = new Notes(world, plan, verifier)
    this.reports = new Reports(this.#notes)
    this.owners = new Owners(this.#notes, this.reports)
    this.clients = new Clients(this.#notes, this.owners)
    this.disks = new Disks(this.#notes, this.reports, this.owners)
  }

  get jobs(): Iterable<KnownToOracle> {
    return this.#notes.jobs.values()
  }
}
