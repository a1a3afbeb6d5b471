"""A seat reservation service as it is usually written: what the benchmark holds
Holdfast against.

A hold is a key of Redis for each seat, set where it is not there (SET NX EX), and
taken back where one of them is gone. A sale is a transaction of Postgres that
inserts an order and its tickets, whose unique constraint has the last word.
"""

import os
from contextlib import asynccontextmanager

import asyncpg
import redis.asyncio as redis
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

HOLD_SECONDS = 900

# Frees a seat only for whoever holds it.
RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


@asynccontextmanager
async def lifespan(app: FastAPI):
    pool = redis.BlockingConnectionPool.from_url(
        os.environ["PEER_REDIS"], max_connections=32, decode_responses=True
    )
    app.state.redis = redis.Redis.from_pool(pool)
    app.state.release = app.state.redis.register_script(RELEASE)
    app.state.postgres = await asyncpg.create_pool(
        os.environ["PEER_POSTGRES"], min_size=4, max_size=16
    )
    yield
    await app.state.postgres.close()
    await app.state.redis.aclose()


app = FastAPI(lifespan=lifespan)


class Seats(BaseModel):
    event_id: str = Field(max_length=64)
    seat_ids: list[str] = Field(min_length=1, max_length=50)
    holder_id: str = Field(max_length=64)
    hold_id: str = Field(max_length=64)


def key(event_id: str, seat_id: str) -> str:
    return f"hold:{event_id}:{seat_id}"


@app.post("/health")
async def health():
    await app.state.redis.ping()
    await app.state.postgres.fetchval("SELECT 1")
    return {}


@app.post("/holds")
async def hold(asked: Seats):
    async with app.state.redis.pipeline(transaction=False) as pipe:
        for seat_id in asked.seat_ids:
            pipe.set(key(asked.event_id, seat_id), asked.hold_id, nx=True, ex=HOLD_SECONDS)
        taken = await pipe.execute()
    if not all(taken):
        for seat_id, got in zip(asked.seat_ids, taken):
            if got:
                await app.state.release(keys=[key(asked.event_id, seat_id)], args=[asked.hold_id])
        raise HTTPException(409, "a seat is not available")
    return {"hold_id": asked.hold_id, "expires_in": HOLD_SECONDS}


@app.post("/confirms")
async def confirm(asked: Seats):
    keys = [key(asked.event_id, seat_id) for seat_id in asked.seat_ids]
    owners = await app.state.redis.mget(keys)
    if any(owner != asked.hold_id for owner in owners):
        raise HTTPException(409, "the hold has expired")
    async with app.state.postgres.acquire() as connection:
        try:
            async with connection.transaction():
                order_id = await connection.fetchval(
                    "INSERT INTO orders (event_id, hold_id, holder_id) VALUES ($1, $2, $3)"
                    " RETURNING order_id",
                    asked.event_id,
                    asked.hold_id,
                    asked.holder_id,
                )
                await connection.executemany(
                    "INSERT INTO tickets (order_id, event_id, seat_id) VALUES ($1, $2, $3)",
                    [(order_id, asked.event_id, seat_id) for seat_id in asked.seat_ids],
                )
        except asyncpg.UniqueViolationError:
            raise HTTPException(409, "sold already") from None
    await app.state.redis.delete(*keys)
    return {"order_id": order_id}
