using System.Data.Common;
using Microsoft.EntityFrameworkCore;

namespace MobileServices.Identity;

/// <summary>
/// OpenIddict's tables in the schema <c>identity</c>. SQL by hand goes over <see cref="Connection"/>, so that a request needs one connection and
/// one transaction.
/// </summary>
internal sealed class IdentityContext(DbContextOptions<IdentityContext> options) : DbContext(options)
{
    public DbConnection Connection => Database.GetDbConnection();

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.HasDefaultSchema("identity");
        modelBuilder.UseOpenIddict<Guid>();
        foreach (var entity in modelBuilder.Model.GetEntityTypes())
        {
            entity.SetTableName(SnakeCase(entity.GetTableName()!.Replace("OpenIddict", "", StringComparison.Ordinal).TrimEnd('s')));
            foreach (var property in entity.GetProperties())
            {
                property.SetColumnName(SnakeCase(property.Name));
            }
        }
    }

    private static string SnakeCase(string name) => string.Concat(name.Select((letter, index) => (char.IsUpper(letter), index) switch
    {
        (true, 0) => $"{char.ToLowerInvariant(letter)}",
        (true, _) => $"_{char.ToLowerInvariant(letter)}",
        _ => $"{letter}",
    }));
}
