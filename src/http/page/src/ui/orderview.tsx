// A paid order: a ticket for each place, with the code that its mail has.

import { renderSVG } from "uqr";
import { OrderState, type Order, type Ticket } from "../gen/holdfast/v1/reservation_pb.ts";
import { shown } from "../money.ts";
import { leave } from "../sale/order.ts";
import * as store from "../sale/store.ts";

export function OrderView({ order }: { order: Order }) {
  const isPaid = order.state === OrderState.PAID;
  return (
    <section class="order" aria-label="Your order">
      <h2>{isPaid ? "Your tickets" : "Paid too late"}</h2>
      <p class="hint">
        {isPaid
          ? `Order ${order.orderId.slice(0, 8)}, ${shown(order.total)}.`
          : "The places were somebody else's by then. Your money goes back."}
      </p>
      <ul class="tickets">
        {order.tickets.map((ticket) => (
          <TicketOf key={ticket.ticketId} ticket={ticket} />
        ))}
      </ul>
      <button class="other" onClick={leave}>
        Back to the house
      </button>
    </section>
  );
}

function TicketOf({ ticket }: { ticket: Ticket }) {
  const name = nameOf(ticket);
  return (
    <li>
      <div
        class="code"
        role="img"
        aria-label={`QR code of the ticket for ${name}`}
        data-ticket={ticket.ticketId}
        // Made of the id alone, by uqr.
        dangerouslySetInnerHTML={{ __html: renderSVG(ticket.ticketId, { border: 2 }) }}
      />
      <div>
        <strong>{name}</strong>
        <small>{shown(ticket.price)}</small>
        <code>{ticket.ticketId}</code>
      </div>
    </li>
  );
}

function nameOf({ place }: Ticket): string {
  const house = store.house.value;
  if (place.case === "seatId") {
    const seat = house?.seats[house.numbers.get(place.value) ?? -1];
    return seat ? store.placeOf(seat) : place.value;
  }
  const standing = house?.standing.find(({ area }) => area.areaId === place.value);
  return standing?.area.name || place.value || "";
}
