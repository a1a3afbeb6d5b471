-- SearchEvents: what is found of an event, by words and by likeness.

DO $$
BEGIN
    IF getdatabaseencoding() <> 'UTF8' THEN
        RAISE EXCEPTION 'the database must have the encoding UTF8, not %', getdatabaseencoding();
    END IF;
END
$$;

-- All of them may be created by who owns the database; they are in Postgres' contrib.
CREATE EXTENSION IF NOT EXISTS unaccent;
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS fuzzystrmatch;

-- A text as its words, without case, marks and punctuation, one space between them.
--
-- Hangul is spelled in its letters, by Latin ones and digits: consonants by consonants,
-- vowels by digits and what letters are left, so that hardly any English word is spelled
-- alike. So the beginning of a syllable is the beginning of a word, a wrong letter is one
-- letter, and trigrams know it for letters even where the database's locale is C, to
-- which nothing but ASCII is. Marks are taken off by decomposing; unaccent knows the
-- letters that have none to take off, as đ.
--
-- IMMUTABLE: unaccent is not marked so because its rules may be edited; whoever does that
-- must write all events anew.
DO $$
DECLARE
    -- C knows the case of ASCII alone.
    everywhere text := (
        SELECT format(' COLLATE %s.%I', collnamespace::regnamespace, collname)
        FROM pg_collation
        WHERE collname IN ('und-x-icu', 'C.utf8', 'C.UTF-8')
            AND collencoding IN (-1, pg_char_to_encoding('UTF8'))
        ORDER BY collname = 'und-x-icu' DESC LIMIT 1);
BEGIN
    EXECUTE format($f$
        CREATE FUNCTION search_words(text) RETURNS text
        LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
        RETURN btrim(regexp_replace(
            lower(unaccent('unaccent'::regdictionary, regexp_replace(translate(
                normalize($1, NFKD),
                U&'\1100\1101\1102\1103\1104\1105\1106\1107\1108\1109\110A\110B\110C\110D'
                '\110E\110F\1110\1111\1112'
                '\1161\1162\1163\1164\1165\1166\1167\1168\1169\116A\116B\116C\116D\116E'
                '\116F\1170\1171\1172\1173\1174\1175'
                '\11A8\11A9\11AA\11AB\11AC\11AD\11AE\11AF\11B0\11B1\11B2\11B3\11B4\11B5'
                '\11B6\11B7\11B8\11B9\11BA\11BB\11BC\11BD\11BE\11BF\11C0\11C1\11C2',
                'ggnddrmbbssqjjcktph'
                '01fe238u4vax95wiyl6z7'
                'gggnnndrrrrrrrrmbbssqjcktph'),
                U&'[\0300-\036F]+', '', 'g'))%s),
            -- Of ASCII, Latin, general punctuation, signs, East Asia, and pictures.
            U&'[\0001-/:-@\005B-`{-\00BF\00D7\00F7\2000-\206F\20A0-\20CF\2190-\2BFF'
            '\3000-\303F\30FB\FE00-\FE0F\+01F000-\+01FAFF]+', ' ', 'g'))
    $f$, everywhere);
END
$$;

ALTER TABLE events
    ADD COLUMN search_text text GENERATED ALWAYS AS
        (search_words(name || ' ' || venue || ' ' || city)) STORED,
    ADD COLUMN search_city text GENERATED ALWAYS AS (search_words(city)) STORED,
    -- 'simple': a word is itself, in every language.
    ADD COLUMN search_vector tsvector GENERATED ALWAYS AS (
        setweight(to_tsvector('simple', search_words(name)), 'A')
        || setweight(to_tsvector('simple', search_words(venue)), 'B')
        || setweight(to_tsvector('simple', search_words(city)), 'C')) STORED;

-- What is written seldom is searched often: nothing is left to be merged later.
CREATE INDEX events_by_words ON events USING gin (search_vector)
    WITH (fastupdate = off) WHERE state <> 'DRAFT';
CREATE INDEX events_by_likeness ON events USING gin (search_text gin_trgm_ops)
    WITH (fastupdate = off) WHERE state <> 'DRAFT';
CREATE INDEX events_by_city ON events (search_city, start_time, event_id)
    WHERE state <> 'DRAFT';

-- Whose sale has opened, or changed, lately.
CREATE INDEX events_on_sale ON events (update_time) WHERE state = 'ON_SALE';
