# Active Record, on which the gem neighbor builds.  Its migrations are those of Rails; its query
# is written here (1.0.0, lib/neighbor/model.rb, nearest_neighbors), since Debian has no neighbor.
require "active_record"

INSERTED = 100
QUERY = [0.1, -0.27, 0.333, -0.45, 0.5, 0.61, -0.7, 0.8, -0.99, 1.1, 0.12, -0.13,
         0.14, 0.15, -0.16, 0.17, 0.18, -0.19, 0.2, 0.21, -0.22, 0.23, 0.24, 1e-3].freeze

@checks = 0

def equal(found, wanted, name)
  @checks += 1
  puts "#{found == wanted ? 'ok' : 'not ok'} #{@checks} - #{name}"
  puts "# found #{found.inspect}", "# wanted #{wanted.inspect}" unless found == wanted
end

# The ten neighbours of a kind, as [id, distance].
def truth(kind)
  File.readlines(ENV["TRUTH"], chomp: true).map { |line| line.split("|") }.select { |row| row[0] == kind }
      .map { |_, id, distance| [id.to_i, distance.to_f] }
end

class VectorType < ActiveRecord::Type::Value
  def type
    :vector
  end

  def serialize(vector)
    vector && "[#{vector.join(',')}]"
  end
end

class CreateItems < ActiveRecord::Migration[6.1]
  def change
    create_table :rails_items do |t|
      t.column :embedding, "vector(24)"
    end
    add_index :rails_items, :embedding, using: :engramk, opclass: :vector_cosine_ops
    add_index :rails_items, "(embedding::halfvec(24)) halfvec_cosine_ops", using: :engramk, name: :rails_items_half
  end
end

class Item < ActiveRecord::Base
  self.table_name = "rails_items"

  def self.nearest_neighbors(vector, cast: "")
    distance = "#{connection.quote_table_name(table_name)}.#{connection.quote_column_name(:embedding)}#{cast} <=> " \
               "#{connection.quote(VectorType.new.serialize(vector))}"
    select(*column_names, "#{distance} AS neighbor_distance").where.not(embedding: nil).reorder(Arel.sql(distance))
  end
end

def migrate
  ActiveRecord::Migration.verbose = false
  CreateItems.migrate(:up)
  index, half = Item.connection.indexes(:rails_items).sort_by(&:name)
  equal([index.name, index.using, index.columns, index.opclasses],
        ["index_rails_items_on_embedding", :engramk, ["embedding"], :vector_cosine_ops],
        "the index as schema.rb has it")
  equal([half.name, half.using, half.columns],
        ["rails_items_half", :engramk, "((embedding)::halfvec(24)) halfvec_cosine_ops"],
        "the index of an expression as schema.rb has it")
end

def fill
  rows = Item.connection.select_rows("SELECT id, embedding::real[] FROM items WHERE id <= #{INSERTED}")
  Item.insert_all!(rows.map { |id, embedding| { id: id, embedding: embedding.delete("{}").split(",").map(&:to_f) } })
  arrived = Item.joins("JOIN items AS i ON i.id = rails_items.id AND i.embedding = rails_items.embedding").count
  equal(arrived, INSERTED, "inserted, every bit of every element")
  Item.connection.execute("INSERT INTO rails_items SELECT id, embedding FROM items WHERE id > #{INSERTED}")
  Item.connection.execute("ANALYZE rails_items")
end

def query(kind, index, **options)
  nearest = Item.nearest_neighbors(QUERY, **options).limit(10)
  equal(nearest.map { |item| [item.id, item.neighbor_distance] }, truth(kind), "nearest, #{kind}")
  plan = nearest.explain
  equal(plan[/Index Scan using (\w+) on /, 1], index, "the index serves the statement as it was sent")
end

begin
  ActiveRecord::Base.establish_connection(adapter: "postgresql")
  ActiveRecord::Base.connection.send(:type_map).register_type("vector", VectorType.new)
  migrate
  fill
  query("cosine", "index_rails_items_on_embedding")
  query("half_cosine", "rails_items_half", cast: "::halfvec(24)")
rescue StandardError => e
  equal(e.full_message(highlight: false).lines.first(5).join.tr("\n", " "), nil, "no exception")
end
puts "1..#{@checks}"
